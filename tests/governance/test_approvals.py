"""What people agreed to is that and nothing else, and it is done once at most: whoever races, whatever is killed."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.approval import Approve, Consume, Release, RequestApproval, Reserve, digest_of
from actors.core.fold import begin
from actors.tools.call.call import call
from actors.tools.call.gates import agreement
from actors.tools.call.move import Move
from actors.tools.messages import ApproveTool, DisableTool, SeeTool
from actors.tools.policy import Policy
from actors.tools.policy_default import DEFAULT
from actors.tools.policy_file import read_policy
from actors.tools.tool import hash_of
from events.envelope import Message
from events.errors import Forbidden, Refused
from events.tools import CallJudged, CallLabelled, CallPinned, CallRequested, ToolDefinition
from tests.governance.stage import act, mail
from tests.governance.world import Outside, Want, World, play, published, toys, wanted

MAIL = {"to": "eve@example.org", "text": "hello"}


# -- one changed byte


def digest(**changed: Any) -> str:
    """The digest that people agree to, of a call with some of its parts changed."""
    parts: dict[str, Any] = {
        "tool": "mail.send", "hash": "abc", "arguments": {"to": "eve@example.org", "text": "hello"}, "version": 3,
        "policy": "def", "requesters": ["user:ada", "agent/helper"], "roles": {"to": "destination", "text": "body"},
    } | changed  # fmt: skip
    definition = ToolDefinition(
        parts["tool"], "Sends.", {"type": "object"}, "write-external", "irreversible", roles=parts["roles"]
    )
    history = [
        CallRequested(parts["tool"], "{}", parts["requesters"], "1", 1, agent="agent/helper"),
        CallPinned(parts["hash"], definition, parts["arguments"], "d"),
        CallLabelled({}, "trusted/private"),
        CallJudged("default", parts["version"], parts["policy"], "ask", "external", "it goes out"),
    ]
    state = begin(call, "call/1").state
    for event in history:
        state = call.evolve(state, event)
    message = Message("1", "Replied", "call/1", "default", b"{}", "tool/x", 1, "", "1")
    return digest_of(agreement(Move(state, message)))


@pytest.mark.parametrize("changed", [
    {"tool": "mail.sene"},
    {"hash": "abd"},
    {"arguments": {"to": "eve@example.org", "text": "hellp"}},
    {"arguments": {"to": "eve@example.orh", "text": "hello"}},
    {"arguments": {"to": "eve@example.org", "text": "hello", "cc": ""}},
    {"roles": {"to": "data", "text": "body"}},
    {"version": 4},
    {"policy": "deg"},
    {"requesters": ["user:adb", "agent/helper"]},
    {"requesters": ["user:ada"]},
    {"requesters": ["agent/helper", "user:ada"]},
])  # fmt: skip
def test_one_changed_byte_is_another_agreement(changed: dict[str, Any]) -> None:
    assert digest() == digest()
    assert digest(**changed) != digest()


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
@settings(max_examples=300, deadline=None)
def test_no_two_targets_and_bodies_share_an_agreement(to: str, text: str, other: str, another: str) -> None:
    same = digest(arguments={"to": to, "text": text}) == digest(arguments={"to": other, "text": another})
    assert same == ((to, text) == (other, another))


def changed_tool(outside: Outside, **fields: Any) -> SeeTool:
    definition = next(tool for tool in toys(outside) if tool.name == "mail.send").definition
    other = msgspec.structs.replace(definition, **fields)
    return SeeTool(hash_of(other), other)


@pytest.mark.parametrize(
    "field", [{"description": "Send."}, {"result": "untrusted/private"}, {"timeout": 61.0}, {"code": "x"}]
)
def test_a_definition_that_changes_voids_what_was_agreed_to(field: dict[str, Any]) -> None:
    async def script(world: World, outside: Outside) -> None:
        await world.call("1", wanted("mail.send", MAIL))
        other = changed_tool(outside, **field)
        await world.system.ask("tool/mail.send", other, sender="host/2")
        await world.approve("1")
        ended = await world.ended("1")
        assert (ended["status"], ended["stage"], ended["code"]) == ("expired", "approval", "changed")
        assert await world.approval("1") == "withdrawn"
        # Agreeing to the new definition does not bring the old agreement back.
        await world.system.ask("tool/mail.send", ApproveTool(other.hash), sender="user:owner")
        await world.call("2", wanted("mail.send", MAIL))
        await world.system.ask("tool/mail.send", DisableTool(), sender="user:owner")
        await world.approve("2")
        assert (await world.ended("2"))["status"] == "expired"
        assert not outside.done

    play(script)


@pytest.mark.parametrize("change", [
    lambda text: text.replace("it changes something that", "it changes somethinG that"),
    lambda text: text.replace("# What tools may do.", "# What tools do.").replace("Reading here", "Reading"),
    lambda text: text + "  - {id: more, decision: deny, when: {tools: mail.send}}\n",
])  # fmt: skip
def test_a_policy_that_changes_voids_what_was_agreed_to(change: Any) -> None:
    async def script(world: World, outside: Outside) -> None:
        await world.call("1", wanted("mail.send", MAIL))
        await world.system.ask("policy/default", published(read_policy(change(DEFAULT))))
        await world.approve("1")
        assert (await world.ended("1"))["code"] == "changed"
        assert await world.approval("1") == "withdrawn"
        # Back again is another version, too.
        await world.call("2", wanted("mail.send", MAIL))
        await world.system.ask("policy/default", published(read_policy(DEFAULT)))
        if await world.status("2") == "asked":
            await world.approve("2")
        assert (await world.ended("2"))["status"] in ("expired", "denied")
        assert not outside.done

    play(script)


def test_who_asks_cannot_agree_and_others_can_once() -> None:
    async def script(world: World, outside: Outside) -> None:
        await world.call("1", wanted("mail.send", MAIL))
        with pytest.raises(Refused, match="asked for it"):
            await world.approve("1", by="ada")
        await world.approve("1")
        assert outside.done == {"mail call/1": 1}
        with pytest.raises(Refused):
            await world.approve("1", by="another")

    play(script)


def test_a_quorum_is_as_many_as_it_says() -> None:
    async def script(world: World, outside: Outside) -> None:
        await world.call("1", wanted("mail.send", MAIL))
        await world.approve("1", by="boss")
        await world.approve("1", by="boss")
        assert await world.status("1") == "asked"
        with pytest.raises(Refused, match="not an approver"):
            await world.approve("1", by="somebody")
        await world.approve("1", by="chief")
        assert await world.status("1") == "succeeded"
        assert outside.done == {"mail call/1": 1}
        events = [e for e in await world.system.events() if e.type == "CallApproved"]
        assert msgspec.json.decode(events[0].data)["by"] == ["boss", "chief"]

    rules = "rules: [{id: two, decision: ask, quorum: 2, approvers: [boss, chief, ada]}]"
    play(script, read_policy(f"grants: ['*']\n{rules}"))


def test_a_quorum_that_cannot_be_reached_without_who_asks_is_no_agreement() -> None:
    async def script(world: World, _outside: Outside) -> None:
        assert await world.call("1", wanted("mail.send", MAIL)) == "denied"
        assert (await world.ended("1"))["code"] == "quorum"

    play(script, read_policy("grants: ['*']\nrules: [{id: own, decision: ask, approvers: ada}]"))


# -- races


def test_racing_approvers_have_it_done_once() -> None:
    async def script(world: World, outside: Outside) -> None:
        await world.call("1", wanted("mail.send", MAIL))
        approval = (await world.system.state("call/1"))["approval"]
        votes = (world.system.ask(approval, Approve(), sender=f"user:boss{n}") for n in range(20))
        await asyncio.gather(*votes, return_exceptions=True)
        await world.system.settle()
        assert outside.done == {"mail call/1": 1}
        assert await world.status("1") == "succeeded"

    play(script)


def test_nobody_else_can_use_an_agreement() -> None:
    async def script(world: World, outside: Outside) -> None:
        outside.hangs = True
        await world.call("1", wanted("mail.send", MAIL))
        state = await world.system.state("call/1")
        await world.approve("1")
        assert await world.approval("1") == "reserved"
        cell = world.system.hosts[0].cells["default"][state["approval"]]
        for attempt in (Reserve("call/2", state["digest"]), Consume("call/2"), Release("call/1"), Consume("call/1")):
            with pytest.raises(Forbidden):
                await world.system.ask(state["approval"], attempt, sender="user:mallory")
            told = world.system.message(state["approval"], attempt, sender="call/2")
            with pytest.raises(Refused):
                cell.kind.decide(cell.state, msgspec.structs.replace(told, data=attempt))
        outside.hang.set()
        await world.system.settle()
        assert await world.approval("1") == "consumed"
        assert outside.done == {"mail call/1": 1}

    play(script)


def test_whoever_asks_cannot_choose_who_agrees_by_asking_first() -> None:
    """The approval of a call has an address that can be guessed: what is there already is not taken for an answer."""
    policy = read_policy("grants: ['*']\nrules: [{id: all, decision: ask, approvers: [boss]}]")

    async def script(world: World, outside: Outside) -> None:
        request = wanted("mail.send", MAIL, agent="", requesters=[])
        await world.system.ask("call/0", request, sender="user:mallory")
        await world.system.settle()
        first = await world.system.state((await world.system.state("call/0"))["approval"])
        squat = RequestApproval("call", first["request"]["what"], "call/1")
        with pytest.raises(Forbidden):
            await world.system.ask("approval/1.call", squat, sender="user:mallory")
        await world.system.ask("call/1", request, sender="user:mallory")
        await world.system.settle()
        with pytest.raises(Refused, match="mallory asked for it"):
            await world.approve("1", "mallory")
        with pytest.raises(Refused, match="eve is not an approver"):
            await world.approve("1", "eve")
        assert not outside.done
        await world.approve("1", "boss")
        assert await world.status("1") == "succeeded"

    play(script, policy)


# -- kills


def outcome_is_sound(outside: Outside, where: str) -> None:
    assert outside.done["mail call/1"] <= 1, f"{where}: {outside.done}"


@pytest.mark.parametrize("before", [False, True])
def test_a_host_lost_at_any_write_executes_an_irreversible_call_once_at_most(before: bool) -> None:
    outside, boundaries, _ = act(mail, None)
    assert outside.done == {"mail call/1": 1}
    assert len(boundaries) > 15
    known = 0
    for boundary in boundaries:
        outside, _, struck = act(mail, (boundary, before))
        where = f"lost {'before' if before else 'after'} event {boundary}"
        assert struck, where
        outcome_is_sound(outside, where)
        known += outside.done["mail call/1"]
    # Most losses are where nothing was begun: there the call is simply made.
    assert known > len(boundaries) // 2


def test_a_call_lost_while_it_was_performed_stays_unknown_and_its_agreement_reserved() -> None:
    async def play_it(stage: Any, outside: Outside) -> None:
        outside.hangs = True
        await stage.insist("asker/1", Want("call/1", wanted("mail.send", MAIL)))
        await stage.until("call/1", "asked")
        approval = (await stage.state("call/1"))["approval"]
        await stage.until(approval, "waiting")
        await stage.insist(approval, Approve(), "user:boss")
        await stage.until("call/1", "begun")
        while not outside.done:
            await asyncio.sleep(0.01)
        await stage.replace_host()
        assert await stage.until("call/1", "succeeded", "unknown") == "unknown"
        assert (await stage.state(approval))["status"] == "reserved"
        # A person finds out what became of it: that supersedes, and uses the agreement up.
        await stage.settled("call/1", {"sent": True})
        await stage.until(approval, "consumed")
        assert (await stage.state("call/1"))["status"] == "succeeded"
        asker = await stage.state("asker/1")
        assert [one["status"] for one in asker["finished"]["call/1"]] == ["unknown"]

    outside, _, _ = act(play_it, None)
    assert outside.done == {"mail call/1": 1}


def test_a_keyed_call_lost_at_any_write_is_done_in_the_end() -> None:
    async def write(stage: Any, _outside: Outside) -> None:
        await stage.insist("asker/1", Want("call/1", wanted("notes.write", {"path": "a.txt", "text": "hello"})))
        await stage.until("call/1", "succeeded")

    allowed = Policy("default", read_policy("grants: ['*']\nrules: [{id: a, decision: allow}]").rules,
                     read_policy("grants: ['*']").grants)  # fmt: skip
    _, boundaries, _ = act(write, None, allowed)
    for boundary in boundaries:
        for before in (False, True):
            outside, _, _ = act(write, (boundary, before), allowed)
            assert outside.done["note call/1"] >= 1
