"""Thespis as an MCP server: its tools and its agents, offered to whoever speaks that protocol.

Nothing is done here: a call is a request to a host, which puts it through every gate; what the host says is told on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
from mcp import MCPError, types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from events.errors import OutcomeUnknown, ThespisError
from infra.mcp.definitions import NAME

log = logging.getLogger("thespis.mcp")

AGENT: Final = "agent."
KEY: Final = "thespis/key"
"""In `_meta` of a call: its idempotency key. The same key again is the same call, whose outcome is told."""
UNUSABLE: Final = frozenset({"disabled", "changed", "waiting", "pending", "proposed", "unapproved", "gone"})
"""Statuses of tools that let no call in."""
AWAY: Final = frozenset({"stopped", "failed", "quarantined"})
"""States of agents that take no turn."""
_DONE: Final = frozenset({"succeeded"})
_MESSAGE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "message": {"type": "string", "description": "What to say to the agent."},
        "conversation": {"type": "string", "description": "The id of a conversation to go on with; a new one without."},
    },
    "required": ["message"],
    "additionalProperties": False,
}


class ToolOffer(msgspec.Struct, frozen=True):
    """A tool of the host."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    risk: str = ""
    status: str = ""
    hash: str = ""


class AgentOffer(msgspec.Struct, frozen=True):
    """An agent of the host."""

    name: str
    description: str = ""
    status: str = ""
    version: int = 0


class CallOutcome(msgspec.Struct, frozen=True):
    """How a call of a tool stands. `approval` names the agreement it waits for."""

    call: str
    status: str
    text: str = ""
    data: Any = None
    approval: str = ""


class TurnOutcome(msgspec.Struct, frozen=True):
    """How a turn of a conversation stands. `text` is the answer, once there is one."""

    conversation: str
    turn: int
    status: str
    text: str = ""


class Host(Protocol):
    """What is asked of Thespis. Every method raises ThespisError."""

    async def tools(self) -> Sequence[ToolOffer]:
        """All tools."""
        ...

    async def run(self, tool: str, arguments: Mapping[str, Any], key: str) -> CallOutcome:
        """Have a tool called, once for a key, and wait for a while for what comes of it."""
        ...

    async def agents(self) -> Sequence[AgentOffer]:
        """All agents."""
        ...

    async def say(self, agent: str, message: str, conversation: str, key: str) -> TurnOutcome:
        """Say something to an agent, once for a key, in a conversation ("": a new one), and wait for the answer."""
        ...


class Offer(msgspec.Struct, frozen=True):
    """What is offered: `tools` and `agents` by name, all when None."""

    tools: frozenset[str] | None = None
    agents: frozenset[str] | None = None


def mcp_server(host: Host, offer: Offer, *, version: str, key: Any) -> Server[Any]:
    """A server that offers what a host has. `key` makes a new idempotency key."""

    async def listed(_ctx: Any, _params: Any) -> types.ListToolsResult:
        try:
            tools, agents = await asyncio.gather(_tools(host, offer), _agents(host, offer))
        except ThespisError as error:
            raise MCPError(types.INTERNAL_ERROR, f"the host does not answer: {error}") from None
        taken = {tool.name for tool in tools}
        return types.ListToolsResult(tools=[*tools, *(agent for agent in agents if agent.name not in taken)])

    async def called(_ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        meta = params.meta or {}
        given = meta.get(KEY)
        used = given if isinstance(given, str) and 0 < len(given) <= 200 else str(key())
        arguments = params.arguments or {}
        try:
            if params.name.startswith(AGENT) and (offer.agents is None or params.name[len(AGENT) :] in offer.agents):
                return await _say(host, params.name[len(AGENT) :], arguments, used)
            if offer.tools is not None and params.name not in offer.tools:
                raise MCPError(types.INVALID_PARAMS, f"there is no tool {params.name!r} here")
            return _called(await host.run(params.name, arguments, used), used)
        except OutcomeUnknown as error:
            return _said(f"Nobody knows whether it was done: {error}. Its key is {used}.", error=True)
        except ThespisError as error:
            hint = f" ({error.hint})" if error.hint else ""
            return _said(f"{error}{hint}", error=True, code=error.code)

    return Server(
        "thespis", version=version, on_list_tools=listed, on_call_tool=called,
        instructions="Tools and agents of a Thespis instance. Calls go through its policy; some wait for a person.",
    )  # fmt: skip


async def serve_stdio(server: Server[Any]) -> None:
    """Serve one client over standard input and output, until it closes them."""
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


async def _tools(host: Host, offer: Offer) -> list[types.Tool]:
    return [
        types.Tool(
            name=tool.name, description=f"{tool.description}\n\nRisk: {tool.risk}.".strip(), annotations=_hints(tool),
            input_schema={**tool.parameters, "type": "object"},
        )
        for tool in await host.tools()
        if tool.status not in UNUSABLE and NAME.fullmatch(tool.name)
        if offer.tools is None or tool.name in offer.tools
    ]  # fmt: skip


async def _agents(host: Host, offer: Offer) -> list[types.Tool]:
    return [
        types.Tool(
            name=AGENT + agent.name, input_schema=_MESSAGE,
            description=f"Talk to the agent {agent.name}. {agent.description}".strip(),
        )
        for agent in await host.agents()
        if agent.status not in AWAY
        if NAME.fullmatch(AGENT + agent.name) and (offer.agents is None or agent.name in offer.agents)
    ]  # fmt: skip


def _hints(tool: ToolOffer) -> types.ToolAnnotations:
    reads = tool.risk.startswith("read-")
    return types.ToolAnnotations(
        read_only_hint=reads, destructive_hint=not reads and tool.risk != "write-reversible",
        open_world_hint=tool.risk in ("read-network", "write-external"),
    )  # fmt: skip


async def _say(host: Host, agent: str, arguments: Mapping[str, Any], key: str) -> types.CallToolResult:
    message, conversation = arguments.get("message"), arguments.get("conversation", "")
    if not isinstance(message, str) or not message or not isinstance(conversation, str):
        return _said("an agent is given `message`, a text, and maybe `conversation`, an id", error=True, code="invalid")
    turn = await host.say(agent, message, conversation, key)
    about: dict[str, Any] = {"conversation": turn.conversation, "turn": turn.turn, "status": turn.status}
    if turn.text:
        return _said(turn.text, **about)
    what = f"turn {turn.turn} of conversation {turn.conversation} is {turn.status}"
    if turn.status in ("waiting", "running"):
        return _said(f"No answer yet: {what}.", **about)
    return _said(f"No answer: {what}.", error=True, **about)


def _called(outcome: CallOutcome, key: str) -> types.CallToolResult:
    about: dict[str, Any] = {"call": outcome.call, "status": outcome.status, "key": key}
    if outcome.data is not None:
        about["data"] = outcome.data
    if outcome.approval:
        about["approval"] = outcome.approval
        text = (
            f"Waits for somebody's agreement: {outcome.approval} (thespis approvals approve {outcome.approval}). It has"
            f" not been done. Once it is agreed to, call {outcome.call} goes on by itself: do not ask for it again."
        )
        about["status"] = "waits"
        return _said(text, **about)
    if outcome.status in _DONE:
        return _said(outcome.text or "done", **about)
    if outcome.status == "unknown":
        text = f"Nobody knows whether it was done. {outcome.text} Do not repeat it; a person will find out."
        return _said(text, error=True, **about)
    if outcome.status in ("failed", "denied", "refused", "expired", "cancelled"):
        return _said(f"{outcome.status}: {outcome.text}", error=True, **about)
    return _said(f"Not done yet: call {outcome.call} is {outcome.status}. {outcome.text}".strip(), **about)


def _said(text: str, *, error: bool = False, **about: Any) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], structured_content=about or None, is_error=error
    )
