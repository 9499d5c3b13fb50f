"""What happens to a call while it waits, and to what comes back: changed rules, time that is over, labels, guards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from actors.testing.clock import START, run_virtual
from actors.tools.messages import ApproveTool, DisableTool
from actors.tools.policy import Policy
from actors.tools.policy_default import DEFAULT
from actors.tools.policy_file import read_policy
from actors.tools.tool import Tool, ToolCallInfo, ToolResult
from actors.workflows.plan import encode_plan
from actors.workflows.workflow import PublishWorkflow
from infra.memory.system import System
from infra.memory.workflows import planned
from infra.tools.effects import seen, tool_effects
from tests.governance.stage import Theatre, act
from tests.governance.world import NoteInput, Outside, Want, World, play, plugin, published, wanted

ALLOW = read_policy("grants: ['*']\nrules: [{id: all, decision: allow}]")
MAIL = {"to": "eve@example.org", "text": "hello"}


def with_tools(tools: list[Tool], script: Callable[[World], Awaitable[None]], policy: Policy = ALLOW) -> None:
    """A script against a system with these tools."""

    async def main() -> None:
        async with System(plugin(tool_effects(tools))) as system:
            world = World(system)
            for to, message in seen(tools):
                await system.ask(to, message, sender="host/1")
            await system.ask("policy/default", published(policy))
            await script(world)

    run_virtual(main())


# -- while it waits


async def five_that_wait(world: World, outside: Outside) -> None:
    outside.hangs = True
    for n in range(3):
        await world.call(f"{n}", wanted("mail.send", MAIL | {"text": str(n)}))
        await world.approve(f"{n}")
    assert [await world.status(f"{n}") for n in range(3)] == ["begun", "begun", "budgeted"]


def test_a_policy_that_changes_while_a_call_waits_for_its_place_voids_it() -> None:
    async def script(world: World, outside: Outside) -> None:
        await five_that_wait(world, outside)
        await world.system.ask("policy/default", published(read_policy(DEFAULT.replace("Reading", "To read"))))
        outside.hang.set()
        await world.system.settle()
        ended = await world.ended("2")
        assert (ended["status"], ended["code"]) == ("expired", "changed")
        assert await world.approval("2") == "withdrawn"
        assert sorted(outside.done) == ["mail call/0", "mail call/1"]
        assert not (await world.system.state("tool/mail.send")).get("held")

    play(script)


def test_a_tool_that_is_stopped_while_a_call_waits_for_its_place_lets_it_go() -> None:
    async def script(world: World, outside: Outside) -> None:
        await five_that_wait(world, outside)
        await world.system.ask("tool/mail.send", DisableTool(reason="enough"), sender="user:owner")
        await world.system.settle()
        assert (await world.ended("2"))["status"] == "expired"
        assert await world.approval("2") == "withdrawn"
        outside.hang.set()
        await world.system.settle()
        # What has begun is not stopped: its result is recorded.
        assert [await world.status(f"{n}") for n in range(2)] == ["succeeded"] * 2
        assert len(outside.done) == 2

    play(script)


def test_what_people_agree_to_after_hours_is_void() -> None:
    closing, opening = (f"{datetime.fromtimestamp(START / 1e6 + later, UTC):%H:%M}" for later in (600, 3600))
    closed = f"{{id: closed, decision: deny, when: {{during: {{begin: '{closing}', end: '{opening}'}}}}}}"

    async def script(world: World, outside: Outside) -> None:
        assert await world.call("1", wanted("mail.send", MAIL)) == "asked"
        await world.system.advance(700)
        await world.approve("1")
        assert (await world.ended("1"))["code"] == "changed"
        assert not outside.done
        assert await world.call("2", wanted("mail.send", MAIL)) == "denied"

    play(script, read_policy(f"grants: ['*']\nrules: [{{id: mail, decision: ask}}, {closed}]"))


def test_a_rate_lets_calls_in_as_time_goes_by() -> None:
    begun: list[float] = []

    async def run(_input: NoteInput, _call: ToolCallInfo) -> str:
        begun.append(asyncio.get_running_loop().time())
        return "done"

    tool = Tool("slow", run, input=NoteInput, risk="read-local", effect_class="pure", per_minute=2, description="x")

    async def script(world: World) -> None:
        for n in range(5):
            await world.call(f"{n}", wanted("slow", {"path": "a", "text": "b"}))
        assert len(begun) == 2
        await world.system.advance(61)
        assert len(begun) == 4
        await world.system.advance(61)
        assert [await world.status(f"{n}") for n in range(5)] == ["succeeded"] * 5
        assert all(later - earlier >= 59.9 for earlier, later in zip(begun, begun[2:], strict=False))

    with_tools([tool], script)


# -- time that is over


@pytest.mark.parametrize("stops", [True, False])
def test_an_actor_that_takes_too_long_is_told_to_stop_and_then_not_waited_for(stops: bool) -> None:
    async def run(_input: Any, _call: ToolCallInfo) -> None:
        raise AssertionError("a workflow is performed by its runs")

    tool = Tool(
        "patient", run, parameters={"type": "object"}, risk="read-local", via="workflow", timeout=30, description="x",
        effect_class="idempotent", annotations={} if stops else {"workflow": "nobody"},
    )  # fmt: skip
    definition = "name: patient\nsteps: {wait: {wait: {event: never}}}"

    async def script(world: World) -> None:
        plan = planned(definition)
        await world.system.ask("workflow/patient", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
        status = await world.call("1", wanted("patient"))
        if not stops:
            assert status == "failed"
            assert "there is no workflow/nobody" in (await world.ended("1"))["text"]
            return
        assert status == "begun"
        await world.system.advance(31)
        assert await world.status("1") == "failed"
        assert (await world.system.state("run/1"))["status"] == "cancelled"
        assert len(await world.told("1")) == 1

    with_tools([tool], script)


def test_an_actor_that_never_answers_leaves_it_unknown() -> None:
    async def script(world: World, _outside: Outside) -> None:
        assert await world.call("1", wanted("parrot", {"text": "say nothing"})) == "begun"
        await world.system.advance(61)
        assert await world.status("1") == "begun"
        await world.system.advance(61)
        assert await world.status("1") == "unknown"
        (told,) = await world.told("1")
        assert told["text"].startswith("nobody knows what became of parrot")

    play(script)


# -- what comes back


def answering(text: str, label: str = "", **more: Any) -> Tool:
    async def run(_input: Any, _call: ToolCallInfo) -> ToolResult:
        return ToolResult(text, label=label)

    given = {"parameters": {"type": "object"}, "risk": "read-local", "effect_class": "pure", "description": "x"} | more
    return Tool("answers", run, **given)


@pytest.mark.parametrize(("tool", "labels", "expected"), [
    (answering("x", result="trusted/public"), "trusted/public", "trusted/public"),
    (answering("x", result="trusted/public"), "untrusted/private", "trusted/private"),
    (answering("x"), "trusted/public", "untrusted/private"),
    (answering("x", label="trusted/secret"), "trusted/public", "trusted/secret"),
    (answering("x", label="trusted/public", via="mcp"), "trusted/public", "untrusted/public"),
    (answering("x", label="trusted/public"), "trusted/secret", "trusted/secret"),
])  # fmt: skip
def test_a_result_has_the_label_of_its_tool_and_is_as_secret_as_what_went_in(
    tool: Tool, labels: str, expected: str
) -> None:
    async def script(world: World) -> None:
        assert await world.call("1", wanted("answers", {"a": "b"}, labels={"*": labels})) == "succeeded"
        (told,) = await world.told("1")
        assert told["label"] == expected

    with_tools([tool], script)


KEY = "sk-proj-abcdefghijklmnop1234"


@pytest.mark.parametrize(("mode", "code", "text"), [
    ("observe", "", f"the key is {KEY}"),
    ("redact", "", "the key is [removed: secrets.openai]"),
    ("hold", "withheld", "answers succeeded; a guard withholds the result (secrets.openai)"),
    ("block", "withheld", "answers succeeded; a guard withholds the result (secrets.openai)"),
])  # fmt: skip
def test_guards_look_at_a_result_and_it_is_recorded_that_it_succeeded(mode: str, code: str, text: str) -> None:
    guards = f"guards: [{{name: secrets, mode: {mode}, edges: tool-result}}]"
    policy = read_policy(f"grants: ['*']\nrules: [{{id: all, decision: allow}}]\n{guards}")

    async def script(world: World) -> None:
        await world.call("1", wanted("answers"))
        (told,) = await world.told("1")
        assert (told["status"], told["code"], told["text"]) == ("succeeded", code, text)
        assert (told.get("data") is None) == (mode != "observe")

    with_tools([answering(f"the key is {KEY}")], script, policy)


def test_an_asker_brings_guards_of_its_own() -> None:
    guards = [{"name": "canary", "mode": "block", "edges": ["tool-result"], "canaries": ["blue-whale"]}]

    async def script(world: World) -> None:
        await world.call("1", wanted("answers", guards=guards))
        assert (await world.ended("1"))["code"] == "withheld"
        await world.call("2", wanted("answers", guards=[{"name": "nobody"}]))
        assert await world.status("2") == "new"

    with_tools([answering("here is the blue-whale")], script)


# -- kills, where others perform


@pytest.mark.parametrize("tool", ["greeting", "parrot"])
def test_a_call_that_an_actor_performs_survives_the_loss_of_its_host_anywhere(tool: str) -> None:
    async def ask(stage: Theatre, _outside: Outside) -> None:
        plan = planned('name: greeting\ninputs: {text: {type: string}}\nsteps: {say: {value: "${ inputs.text }"}}')
        await stage.insist("workflow/greeting", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
        await stage.insist("asker/1", Want("call/1", wanted(tool, {"text": "ada"})))
        await stage.until("call/1", "succeeded")
        await stage.settle()
        asker = await stage.state("asker/1")
        assert [one["status"] for one in asker["finished"]["call/1"]] == ["succeeded"]

    _, boundaries, _ = act(ask, None)
    for boundary in boundaries:
        for before in (False, True):
            act(ask, (boundary, before))


def test_a_tool_of_others_is_used_once_somebody_agreed() -> None:
    tool = answering("x", via="mcp", origin="far")

    async def script(world: World) -> None:
        assert await world.call("1", wanted("answers")) == "refused"
        await world.system.ask("tool/answers", ApproveTool(tool.hash), sender="user:owner")
        assert await world.call("2", wanted("answers")) == "succeeded"

    with_tools([tool], script)
