"""Thespis as an MCP server: in memory with a fake host, and `thespis mcp serve` driven by the library's own client."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from mcp import Client, MCPError, StdioServerParameters, types

from events.errors import Forbidden, OutcomeUnknown
from infra.mcp.server import AgentOffer, CallOutcome, Offer, ToolOffer, TurnOutcome, mcp_server
from tests.mcp.serving import TOKEN, FakeHost, fake_host


class MemoryHost:
    """A host without a network."""

    def __init__(self, outcome: CallOutcome | Exception) -> None:
        self.outcome = outcome
        self.calls: list[tuple[str, dict[str, Any], str]] = []

    async def tools(self) -> list[ToolOffer]:
        return [
            ToolOffer("pay", "Pays.", {"type": "object"}, "write-external"),
            ToolOffer("odd name!", risk="read-local"),
        ]

    async def agents(self) -> list[AgentOffer]:
        return [AgentOffer("ada"), AgentOffer("bob", status="quarantined")]

    async def run(self, tool: str, arguments: Mapping[str, Any], key: str) -> CallOutcome:
        self.calls.append((tool, dict(arguments), key))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def say(self, agent: str, message: str, conversation: str, key: str) -> TurnOutcome:
        return TurnOutcome(
            conversation or "new", 1, "running" if message == "slow" else "replied", "" if message == "slow" else "yes"
        )


def client(host: MemoryHost, offer: Offer | None = None) -> Client:
    keys = iter(f"k{n}" for n in range(100))
    return Client(mcp_server(host, offer or Offer(), version="1", key=lambda: next(keys)))


def text(answer: types.CallToolResult) -> str:
    [block] = answer.content
    assert isinstance(block, types.TextContent)
    return block.text


async def test_tools_and_agents_are_offered_with_what_is_known_of_their_risk() -> None:
    async with client(MemoryHost(CallOutcome("c", "succeeded"))) as session:
        found = {tool.name: tool for tool in (await session.list_tools()).tools}
    assert set(found) == {"pay", "agent.ada"}
    hints = found["pay"].annotations
    assert hints is not None
    assert (hints.read_only_hint, hints.destructive_hint) == (False, True)


async def test_only_what_is_chosen_is_offered_and_nothing_else_can_be_called() -> None:
    host = MemoryHost(CallOutcome("c", "succeeded"))
    async with client(host, Offer(tools=frozenset(), agents=frozenset({"ada"}))) as session:
        assert [tool.name for tool in (await session.list_tools()).tools] == ["agent.ada"]
        with pytest.raises(MCPError):
            await session.call_tool("pay", {})
        with pytest.raises(MCPError):
            await session.call_tool("agent.bob", {"message": "hello"})
    assert not host.calls


async def test_a_call_that_waits_for_a_person_says_so_with_the_approval() -> None:
    async with client(MemoryHost(CallOutcome("c9", "waiting", approval="approval/4"))) as session:
        answer = await session.call_tool("pay", {"to": "bob"})
    assert not answer.is_error
    assert "approval/4" in text(answer)
    assert "has not been done" in text(answer)
    assert answer.structured_content == {"call": "c9", "status": "waits", "approval": "approval/4", "key": "k0"}


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (CallOutcome("c", "denied", "no rule allows it"), "denied: no rule allows it"),
        (CallOutcome("c", "failed", "broken"), "failed: broken"),
        (CallOutcome("c", "unknown"), "Nobody knows whether it was done."),
        (Forbidden("the token has no scope tools:write"), "no scope tools:write"),
        (OutcomeUnknown("the connection broke"), "Its key is k0"),
    ],
)
async def test_what_was_not_done_is_an_error_and_what_nobody_knows_is_said(outcome: Any, said: str) -> None:
    async with client(MemoryHost(outcome)) as session:
        answer = await session.call_tool("pay", {})
    assert answer.is_error
    assert said in text(answer)


async def test_the_clients_own_key_makes_a_repeated_call_the_same_one() -> None:
    host = MemoryHost(CallOutcome("c", "succeeded", "done"))
    async with client(host) as session:
        for _ in range(2):
            await session.call_tool("pay", {}, meta={"thespis/key": "mine"})  # pyright: ignore
        await session.call_tool("pay", {})
    assert [key for *_, key in host.calls] == ["mine", "mine", "k0"]


async def test_an_agent_that_has_not_answered_yet_is_no_error() -> None:
    async with client(MemoryHost(CallOutcome("c", "succeeded"))) as session:
        slow = await session.call_tool("agent.ada", {"message": "slow"})
        bad = await session.call_tool("agent.ada", {"message": 7})
    assert "No answer yet" in text(slow)
    assert not slow.is_error
    assert bad.is_error


def serving(host: FakeHost, *more: str) -> StdioServerParameters:
    environment = {"THESPIS_TOKEN": TOKEN, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    args = ["-m", "gateway.main", "mcp", "serve", "--url", host.url, *more]
    return StdioServerParameters(command=sys.executable, args=args, env=environment)


async def test_thespis_mcp_serve_speaks_to_the_librarys_own_client() -> None:
    async with fake_host() as host, Client(serving(host)) as session:
        names = {tool.name for tool in (await session.list_tools()).tools}
        assert names == {"files.read", "files.write", "agent.ada"}

        read = await session.call_tool("files.read", {"path": "a"})
        assert text(read) == "hello"
        assert host.asked == 2, "asked again under the same key until it was over"
        assert list(host.done.values()) == [{"path": "a"}]

        write = await session.call_tool("files.write", {"path": "b"})
        assert "approval/7" in text(write)

        said = await session.call_tool("agent.ada", {"message": "hi", "conversation": "c1"})
        assert text(said) == "ada heard hi"
        assert (said.structured_content or {})["conversation"] == "c1"

        missing = await session.call_tool("nothing", {})
        assert missing.is_error
        denied = await session.call_tool("denied", {})
        assert text(denied) == "denied: not allowed"


async def test_thespis_mcp_serve_speaks_the_older_handshake_too() -> None:
    async with fake_host() as host, Client(serving(host, "--no-tools"), mode="legacy") as session:
        assert [tool.name for tool in (await session.list_tools()).tools] == ["agent.ada"]
        with pytest.raises(MCPError):
            await session.call_tool("files.read", {"path": "a"})
        assert not host.done
