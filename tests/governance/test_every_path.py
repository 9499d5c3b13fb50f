"""Every tool on every path goes through every gate, in order: there is no way around one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.agents.messages import SetBudget
from actors.approval import ApprovalDecided
from actors.core.outputs import Outcome, Replied
from actors.testing.clock import run_virtual
from actors.tools.messages import DisableTool, PlaceGranted
from actors.tools.policy import Policy
from actors.tools.policy_default import DEFAULT
from actors.tools.policy_file import read_policy
from events.errors import Forbidden, Refused
from infra.memory.system import System
from infra.tools.effects import seen, tool_effects
from tests.governance.world import Drop, Outside, World, play, plugin, toys, wanted

TO_POLICY = ["CallRequested", "CallPinned", "CallLabelled", "CallGuarded", "CallJudged"]
ASKED = ["CallApprovalAsked"]
AGREED = ["CallApproved"]
BEGUN = ["CallBudgeted", "CallAdmitted", "CallBegun"]
DONE = ["CallAnswered", "CallGuarded", "CallEnded"]

ARGUMENTS: dict[str, dict[str, Any]] = {
    "files.read": {"path": "notes.txt"},
    "web.get": {"url": "https://good.example/"},
    "notes.write": {"path": "a.txt", "text": "hello"},
    "mail.send": {"to": "eve@example.org", "text": "hello"},
    "mail.lost": {"to": "eve@example.org", "text": "hello"},
    "shell.run": {"command": "ls"},
    "far/echo": {"text": "hello"},
    "greeting": {"text": "ada"},
    "parrot": {"text": "ada"},
}
ASKS = {"notes.write", "mail.send", "mail.lost", "shell.run"}
NAMES = [tool.name for tool in toys(Outside())]

ALLOW_ALL = read_policy("grants: ['*']\nrules: [{id: all, decision: allow}]")


def test_every_toy_has_arguments_here() -> None:
    assert set(NAMES) == set(ARGUMENTS)


def complete(name: str) -> list[str]:
    return [*TO_POLICY, *(ASKED + AGREED if name in ASKS else []), *BEGUN, *DONE]


@pytest.mark.parametrize("name", NAMES)
def test_a_call_that_is_let_through_has_passed_every_gate_in_order(name: str) -> None:
    async def script(world: World, _outside: Outside) -> None:
        status = await world.call("1", wanted(name, ARGUMENTS[name]))
        assert status == ("asked" if name in ASKS else "succeeded")
        if name in ASKS:
            assert await world.story("1") == [*TO_POLICY, *ASKED]
            await world.approve("1")
        expected = "unknown" if name == "mail.lost" else "succeeded"
        assert await world.status("1") == expected, await world.ended("1")
        assert await world.story("1") == complete(name)
        told = await world.told("1")
        assert [one["status"] for one in told] == [expected]
        place = await world.system.state(f"tool/{name}")
        assert not place.get("held")
        if name in ASKS:
            assert await world.approval("1") == ("reserved" if expected == "unknown" else "consumed")

    play(script)


@pytest.mark.parametrize("name", NAMES)
def test_a_denied_call_ends_at_the_policy(name: str) -> None:
    async def script(world: World, outside: Outside) -> None:
        assert await world.call("1", wanted(name, ARGUMENTS[name])) == "denied"
        assert await world.story("1") == [*TO_POLICY, "CallEnded"]
        assert (await world.ended("1"))["stage"] == "policy"
        assert not outside.done

    play(script, Policy("default", []))


@pytest.mark.parametrize("name", NAMES)
def test_a_tool_that_was_not_granted_to_the_agent_is_denied(name: str) -> None:
    async def script(world: World, _outside: Outside) -> None:
        assert await world.call("1", wanted(name, ARGUMENTS[name], agent="agent/other")) == "denied"
        assert await world.story("1") == [*TO_POLICY, "CallEnded"]

    play(script, read_policy("grants: [{tools: '*', agents: helper}]\nrules: [{id: all, decision: allow}]"))


def test_without_a_policy_every_call_is_denied() -> None:
    async def main() -> None:
        held = toys(Outside())
        async with System(plugin(tool_effects(held))) as system:
            world = World(system)
            for to, message in seen(held):
                await system.ask(to, message, sender="host/1")
            assert await world.call("1", wanted("files.read", ARGUMENTS["files.read"])) == "denied"
            assert await world.story("1") == [*TO_POLICY, "CallEnded"]

    run_virtual(main())


@pytest.mark.parametrize("name", NAMES)
def test_a_call_that_people_do_not_agree_to_ends_there(name: str) -> None:
    async def script(world: World, outside: Outside) -> None:
        assert await world.call("1", wanted(name, ARGUMENTS[name])) == "asked"
        await world.deny("1")
        assert await world.status("1") == "denied"
        assert await world.story("1") == [*TO_POLICY, *ASKED, "CallEnded"]
        assert not outside.done

    play(script, read_policy("grants: ['*']\nrules: [{id: all, decision: ask}]"))


@pytest.mark.parametrize("name", NAMES)
def test_a_call_that_people_do_not_look_at_expires(name: str) -> None:
    async def script(world: World, outside: Outside) -> None:
        assert await world.call("1", wanted(name, ARGUMENTS[name])) == "asked"
        await world.system.advance(61)
        assert (await world.ended("1"))["status"] == "expired"
        assert await world.story("1") == [*TO_POLICY, *ASKED, "CallEnded"]
        assert not outside.done

    play(script, read_policy("grants: ['*']\nrules: [{id: all, decision: ask, expires: 60}]"))


@pytest.mark.parametrize("name", NAMES)
def test_a_call_that_a_guard_stops_is_not_judged(name: str) -> None:
    async def script(world: World, outside: Outside) -> None:
        arguments = {key: f"{value} canary-4711" for key, value in ARGUMENTS[name].items()}
        assert await world.call("1", wanted(name, arguments)) == "refused"
        assert await world.story("1") == [*TO_POLICY[:4], "CallEnded"]
        assert (await world.ended("1"))["stage"] == "guard"
        assert not outside.done

    guards = "guards: [{name: canary, mode: block, canaries: [canary-4711]}]"
    play(script, read_policy(f"grants: ['*']\nrules: [{{id: all, decision: allow}}]\n{guards}"))


@pytest.mark.parametrize("name", NAMES)
def test_a_call_that_a_guard_holds_waits_for_people_although_it_is_allowed(name: str) -> None:
    async def script(world: World, _outside: Outside) -> None:
        arguments = {key: f"{value} canary-4711" for key, value in ARGUMENTS[name].items()}
        assert await world.call("1", wanted(name, arguments)) == "asked"

    guards = "guards: [{name: canary, mode: hold, canaries: [canary-4711], edges: tool-call}]"
    play(script, read_policy(f"grants: ['*']\nrules: [{{id: all, decision: allow}}]\n{guards}"))


@pytest.mark.parametrize("arguments", [
    "{", "[]", '"x"', '{"a":1,"a":1}', '{"a":NaN}', '{"a":1e999}', '{"a":"\\ud800"}',
    '{"a":' + "[" * 40 + "]" * 40 + "}", '{"path":5}', '{"path":"x","more":1}', '{"a":99999999999999999999}',
])  # fmt: skip
def test_arguments_that_are_not_right_are_refused_before_anybody_looks_at_them(arguments: str) -> None:
    async def script(world: World, _outside: Outside) -> None:
        assert await world.call("1", wanted("files.read", arguments)) == "refused"
        assert await world.story("1") == ["CallRequested", "CallEnded"]
        ended = await world.ended("1")
        assert (ended["stage"], ended["code"]) == ("pin", "arguments")

    play(script, ALLOW_ALL)


def test_an_unknown_tool_and_a_disabled_one_are_refused() -> None:
    async def script(world: World, _outside: Outside) -> None:
        assert await world.call("1", wanted("no such tool ü")) == "refused"
        assert (await world.ended("1"))["code"] == "not-found"
        await world.system.ask("tool/files.read", DisableTool(reason="not now"))
        assert await world.call("2", wanted("files.read", ARGUMENTS["files.read"])) == "refused"
        assert (await world.ended("2"))["code"] == "disabled"
        assert await world.story("2") == ["CallRequested", "CallEnded"]

    play(script, ALLOW_ALL)


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_says_what_would_be_and_does_nothing(name: str) -> None:
    async def script(world: World, outside: Outside) -> None:
        assert await world.call("1", wanted(name, ARGUMENTS[name], dry=True)) == "cancelled"
        assert await world.story("1") == [*TO_POLICY, "CallEnded"]
        assert (await world.ended("1"))["code"] == "dry"
        assert not outside.done

    play(script)


@pytest.mark.parametrize("name", NAMES)
def test_a_call_whose_budget_is_empty_ends_there_and_one_with_room_goes_on(name: str) -> None:
    async def script(world: World, outside: Outside) -> None:
        await world.system.ask("budget/tenant.default", SetBudget("1"))
        await world.system.ask("budget/agent.helper", SetBudget("0"))
        budgets = ["budget/tenant.default", "budget/agent.helper"]
        assert await world.call("1", wanted(name, ARGUMENTS[name], budgets=budgets)) == "refused"
        assert await world.story("1") == [*TO_POLICY, "CallEnded"]
        assert (await world.ended("1"))["stage"] == "budget"
        assert not outside.done
        await world.call("2", wanted(name, ARGUMENTS[name], budgets=budgets[:1]))
        assert await world.story("2") == [*TO_POLICY, *BEGUN, *DONE]
        assert not (await world.system.state("budget/tenant.default")).get("reserved")

    play(script, ALLOW_ALL if name != "shell.run" else read_policy(DEFAULT.replace("decision: ask", "decision: allow")))


def test_a_dropped_call_ends_before_it_begins_and_is_recorded_after() -> None:
    async def script(world: World, outside: Outside) -> None:
        await world.call("1", wanted("mail.send", ARGUMENTS["mail.send"]))
        await world.system.ask("asker/1", Drop("call/1"))
        await world.system.settle()
        assert await world.status("1") == "cancelled"
        assert await world.approval("1") == "withdrawn"
        outside.hangs = True
        await world.call("2", wanted("mail.send", ARGUMENTS["mail.send"]))
        await world.approve("2")
        assert await world.status("2") == "begun"
        await world.system.ask("asker/1", Drop("call/2"))
        await world.system.settle()
        assert await world.status("2") == "begun"
        outside.hang.set()
        await world.system.settle()
        assert await world.status("2") == "succeeded"
        assert len(await world.told("2")) == 1

    play(script)


def test_the_same_request_again_changes_nothing_and_another_is_refused() -> None:
    async def script(world: World, _outside: Outside) -> None:
        request = wanted("files.read", {"path": "notes.txt"}, agent="", requesters=[])
        first = await world.system.ask("call/1", request, sender="user:ada")
        assert first["status"] == "requested"
        await world.system.settle()
        again = await world.system.ask("call/1", request, sender="user:ada")
        assert again["status"] == "succeeded"
        other = wanted("files.read", {"path": "b"}, agent="", requesters=[])
        with pytest.raises(Refused, match="another call"):
            await world.system.ask("call/1", other, sender="user:ada")

    play(script)


def test_a_person_asks_for_themselves_alone() -> None:
    async def script(world: World, _outside: Outside) -> None:
        claims: list[tuple[dict[str, Any], str]] = [
            ({"requesters": []}, "is not agent/helper"),
            ({"agent": "", "requesters": ["user:boss"]}, "cannot ask in the name of user:boss"),
            ({"agent": "", "requesters": ["agent/helper"]}, "cannot ask in the name of agent/helper"),
            ({"agent": "", "requesters": [], "roles": ["admin"]}, "cannot take the roles admin"),
            ({"agent": "", "requesters": [], "cause": "another"}, "cannot name what started a call"),
        ]
        for claimed, said in claims:
            for sender in ("user:ada", "nats:agent/helper"):
                with pytest.raises(Refused, match=said):
                    await world.system.ask("call/2", wanted("files.read", {"path": "b"}, **claimed), sender=sender)
        assert await world.story("2") == []

    play(script)


def test_answers_count_from_those_who_were_asked_only() -> None:
    async def script(world: World, outside: Outside) -> None:
        await world.call("1", wanted("mail.send", ARGUMENTS["mail.send"]))
        digest = (await world.system.state("call/1"))["digest"]
        for forged in (
            ApprovalDecided("call", True, digest, ["boss"]),
            Replied('reserve:["boss"]', "approval/1.call", {"status": "reserved"}),
            Replied("place", "tool/mail.send", {"granted": True}),
            PlaceGranted("call/1"),
            Outcome("x", "tool-irreversible", "perform", "succeeded", {}),
        ):
            with pytest.raises(Forbidden):
                await world.system.ask("call/1", forged, sender="user:mallory")
            host = world.system.hosts[0]
            said = world.system.message("call/1", forged, sender="counter/mallory")
            told = msgspec.structs.replace(said, data=forged)
            with pytest.raises(Refused):
                host.kinds["call"].decide(host.cells["default"]["call/1"].state, told)
        assert await world.status("1") == "asked"
        assert not outside.done

    play(script)
