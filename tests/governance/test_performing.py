"""Performers: for calls alone, the tool that was agreed to, within its time, and honest about what nobody knows."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from actors.core.kind import Attempt
from actors.tools.messages import Performed, PerformTool
from actors.tools.tool import Tool, ToolCallInfo, ToolError, ToolResult
from events.conversations import Citation
from events.errors import BadDefinition, Forbidden
from infra.tools.effects import seen, tool_effects
from infra.tools.performing import LARGEST, Tools


class Text(msgspec.Struct, forbid_unknown_fields=True):
    text: str


def made(run: Any, **more: Any) -> Tool:
    given = {"input": Text, "risk": "read-local", "effect_class": "irreversible", "description": "A toy."} | more
    return Tool("toy", run, **given)


CITED = [Citation("a.txt", (1, 2), "h")]


def attempt(actor: str = "call/1") -> Attempt:
    return Attempt("e", "key", "1.1", "default", actor, None)


def asked(tool: Tool, **more: Any) -> PerformTool:
    given = {"arguments": {"text": "hi"}, "call": "call/1", "requesters": ["user:ada"]} | more
    return PerformTool("toy", more.pop("hash", tool.hash), **{k: v for k, v in given.items() if k != "hash"})


async def perform(tool: Tool, **more: Any) -> Performed:
    return await Tools([tool]).perform(tool.definition.effect_class, asked(tool, **more), attempt())


async def test_functions_of_either_kind_are_run_and_see_their_call() -> None:
    threads: list[int] = []

    def plain(input: Text, call: ToolCallInfo) -> str:
        threads.append(threading.get_ident())
        return f"{input.text} {call.call} {call.key} {call.tenant} {call.requesters[0]}"

    async def awaited(input: Text, call: ToolCallInfo) -> ToolResult:
        threads.append(threading.get_ident())
        return ToolResult(
            {"a": 1}, "shown", "trusted/public", [Citation("a.txt", (1, 2), "h")], "landlock", {"usd": "1"}
        )

    assert (await perform(made(plain))).value == "hi call/1 key default user:ada"
    done = await perform(made(awaited))
    assert done == Performed(
        {"a": 1}, "shown", "trusted/public", "", "", [Citation("a.txt", (1, 2), "h")], "landlock", {"usd": "1"}
    )
    assert threads[0] != threading.get_ident() == threads[1]


@pytest.mark.parametrize("actor", ["agent/ada", "run/1", "call/2", "conversation/1", "callx/1"])
async def test_whoever_is_not_the_call_itself_is_turned_away(actor: str) -> None:
    done: list[int] = []
    tool = made(lambda _input, _call: done.append(1))
    tools = Tools([tool])
    with pytest.raises(Forbidden):
        await tools.perform("irreversible", asked(tool), attempt(actor))
    with pytest.raises(Forbidden):
        await tools.reconcile(asked(tool), attempt(actor))
    assert not done


async def test_another_definition_class_or_name_is_not_performed() -> None:
    done: list[int] = []
    tool = made(lambda _input, _call: done.append(1))
    tools = Tools([tool])
    assert (await tools.perform("irreversible", asked(tool, hash="beef"), attempt())).code == "changed"
    assert (await tools.perform("pure", asked(tool), attempt())).code == "changed"
    other = msgspec.structs.replace(asked(tool), tool="else")
    assert (await tools.perform("irreversible", other, attempt())).code == "not-found"
    assert (await tools.perform("irreversible", asked(tool, arguments={"text": 5}), attempt())).code == "arguments"
    assert (
        await tools.perform("irreversible", asked(tool, arguments={"text": "a", "b": 1}), attempt())
    ).code == "arguments"
    assert not done


async def test_what_a_tool_says_went_wrong_is_a_result_and_what_nobody_knows_is_raised() -> None:
    def says(_input: Text, _call: ToolCallInfo) -> None:
        raise ToolError("no such thing", code="not-found")

    def breaks(_input: Text, _call: ToolCallInfo) -> None:
        raise ValueError("oops")

    def lost(_input: Text, _call: ToolCallInfo) -> None:
        raise ConnectionResetError("gone")

    failed = await perform(made(says))
    assert (failed.error, failed.code) == ("no such thing", "not-found")
    failed = await perform(made(breaks))
    assert (failed.error, failed.code) == ("ValueError: oops", "exception")
    with pytest.raises(OSError, match="gone"):
        await perform(made(lost))


async def test_time_that_is_over_is_unknown_for_what_cannot_be_repeated() -> None:
    async def slow(_input: Text, _call: ToolCallInfo) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match="did not answer"):
        await perform(made(slow, timeout=0.01))
    done = await perform(made(slow, timeout=0.01, effect_class="pure"))
    assert done.code == "timeout"
    done = await perform(made(slow, effect_class="pure"), timeout=0.01)
    assert done.code == "timeout"


async def test_what_is_too_large_is_cut_and_says_so() -> None:
    done = await perform(made(lambda _input, _call: "x" * (LARGEST + 10)))
    assert done.value.endswith(f"[10 of {LARGEST + 10} characters are left out here]")
    done = await perform(made(lambda _input, _call: {"many": list(range(200_000))}))
    assert "are left out here" in done.value
    assert len(done.text) < LARGEST + 100
    done = await perform(made(lambda _input, _call: object()))
    assert done.code == "result"


async def test_a_lost_call_is_found_out_by_the_tool_itself() -> None:
    for known, expected in (
        (("succeeded", "sent"), ("succeeded", Performed("sent", "sent"))), (("failed", "no"), ("failed", "no")),
        (None, None),
    ):  # fmt: skip
        tool = made(lambda _input, _call: None, reconcile=lambda _input, _call, known=known: known)
        assert await Tools([tool]).reconcile(asked(tool), attempt()) == expected
    tool = made(lambda _input, _call: None)
    assert await Tools([tool]).reconcile(asked(tool), attempt()) is None


async def test_a_preview_says_what_would_be_and_does_nothing() -> None:
    done: list[int] = []
    tool = made(lambda _input, _call: done.append(1), preview=lambda input: {"diff": f"+{input.text}"})
    assert await Tools([tool]).preview(asked(tool), attempt()) == {"diff": "+hi"}
    tool = made(lambda _input, _call: done.append(1), preview=lambda input, call: f"{call.call}: {input.text}")
    assert await Tools([tool]).preview(asked(tool), attempt()) == "call/1: hi"
    plain = made(lambda _input, _call: done.append(1))
    assert await Tools([plain]).preview(asked(plain), attempt()) == ""
    broken = made(lambda _input, _call: None, preview=lambda _input: 1 / 0)
    assert "ZeroDivisionError" in await Tools([broken]).preview(asked(broken), attempt())
    assert not done


def test_there_is_an_effect_for_every_class_and_definitions_are_told() -> None:
    tool = made(lambda _input, _call: None)
    kinds = {kind.name: kind for kind in tool_effects([tool])}
    assert set(kinds) == {"tool-pure", "tool-idempotent", "tool-keyed", "tool-irreversible", "tool-preview"}
    assert kinds["tool-irreversible"].attempts == 1
    ((to, message),) = seen([tool])
    assert (to, message.hash, message.definition, message.origin) == ("tool/toy", tool.hash, tool.definition, "")
    with pytest.raises(BadDefinition):
        tool_effects([tool, tool])
