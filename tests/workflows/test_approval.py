"""Approvals: bound to what was shown, by enough others, in time, and used once."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.approval import (
    Approval,
    ApprovalDecided,
    Approve,
    Consume,
    Deny,
    Expire,
    Release,
    RequestApproval,
    Reserve,
    Withdraw,
    approval,
    approval_of,
    decide,
    digest_of,
    evolve,
)
from actors.core.kind import Kind, Plugin
from actors.core.outputs import Ask, Cancel, Replied, Reply, Schedule, Tell, TellRefused
from events.address import split
from events.envelope import Message
from events.errors import Forbidden, Refused
from infra.memory.system import System, run_system

WHAT = {"to": "bank", "amount": 5}
DIGEST = digest_of(WHAT)


def ask(**said: Any) -> RequestApproval:
    fields: dict[str, Any] = {"ref": "pay", "what": WHAT, "requested_by": "run/1", **said}
    return RequestApproval(**fields)


def told(state: Approval, data: Any, by: str = "user:ada", now: int = 0) -> tuple[Approval, list[Any]]:
    """One decision, folded."""
    message = Message("m", type(data).__name__, "approval/1", "default", b"", by, now, "", "m", data)
    outs = decide(state, message)
    for out in outs:
        if not isinstance(out, Tell | Reply | Schedule | Cancel):
            state = evolve(state, out)
    return state, outs


def after(*messages: Any, request: RequestApproval | None = None) -> Approval:
    """An approval to which these came, from ada."""
    state, _ = told(Approval(), request or ask(), "run/1")
    for message in messages:
        state, _ = told(state, message)
    return state


def refused(state: Approval, data: Any, by: str = "user:ada", now: int = 0) -> str:
    with pytest.raises(Refused) as caught:
        told(state, data, by, now)
    return caught.value.reason_code


def decided(outs: list[Any]) -> list[ApprovalDecided]:
    return [out.data for out in outs if isinstance(out, Tell)]


def test_one_agreement_is_enough_unless_more_are_asked_for_and_whoever_asked_is_told_once() -> None:
    state, outs = told(after(), Approve())
    assert state.status == "reached"
    assert decided(outs) == [ApprovalDecided("pay", True, DIGEST, ["ada"])]
    state = after(request=ask(quorum=2))
    state, outs = told(state, Approve(), "user:ada")
    assert (state.status, decided(outs)) == ("waiting", [])
    state, outs = told(state, Approve("user:ada"), "user:ada")
    assert (state.status, decided(outs)) == ("waiting", []), "one person counts once, whatever the spelling"
    state, outs = told(state, Approve(), "user:bob")
    assert (state.status, decided(outs)[0].by) == ("reached", ["ada", "bob"])


def test_it_is_bound_to_the_digest_of_what_was_shown() -> None:
    assert refused(after(), Approve(digest="other")) == "digest"
    assert after(Approve(digest=DIGEST)).status == "reached"
    assert digest_of({"amount": 5, "to": "bank"}) == DIGEST
    assert refused(after(Approve()), Reserve("act", "other")) == "digest"


def test_nobody_approves_what_they_asked_for() -> None:
    state = after(request=ask(requested_by="user:ada", requesters=["bob"]))
    assert refused(state, Approve(), "user:ada") == "requester"
    assert refused(state, Approve(), "user:bob") == "requester"
    assert told(state, Approve(), "user:cyd")[0].status == "reached"


def test_only_those_named_may_decide_and_people_speak_for_themselves() -> None:
    state = after(request=ask(approvers=["ada", "user:bob"]))
    assert refused(state, Approve(), "user:eve") == "approver"
    assert refused(state, Deny(), "user:eve") == "approver"
    assert refused(state, Approve("ada"), "user:eve") == "speaker"
    assert refused(state, Deny("ada"), "user:eve") == "speaker"
    assert told(state, Approve("ada"), "channel/mail")[0].given == ["ada"]
    assert told(state, Approve(), "user:bob")[0].status == "reached"


@pytest.mark.parametrize(
    "request_",
    [
        ask(quorum=0),
        ask(quorum=2, approvers=["ada", "user:ada"]),
        ask(quorum=2, approvers=["ada", "bob"], requesters=["bob"]),
    ],
)
def test_a_quorum_that_cannot_be_reached_is_refused(request_: RequestApproval) -> None:
    assert refused(Approval(), request_, "run/1") == "quorum"


def test_a_no_settles_it() -> None:
    state, outs = told(after(request=ask(quorum=2)), Deny(note="too much"))
    assert decided(outs) == [ApprovalDecided("pay", False, DIGEST, ["ada"], "denied by ada: too much", "denied")]
    assert refused(state, Approve(), "user:bob") == "denied"
    assert refused(state, Reserve("act", DIGEST)) == "denied"


def test_asking_again_for_the_same_is_asking_once_and_for_something_else_is_refused() -> None:
    state = after()
    assert told(state, ask(), "run/1")[1] == [Reply({"status": "waiting", "digest": DIGEST})]
    assert refused(state, ask(what={"amount": 6}), "run/1") == "exists"
    assert refused(Approval(), Approve()) == "not-found"


def test_when_its_time_is_over_it_is_over_even_if_the_timer_is_late() -> None:
    request = ask(expires=10.0)
    state, outs = told(Approval(), request, "run/1")
    assert [o for o in outs if isinstance(o, Schedule)] == [Schedule("expire", Expire(), at=10_000_000)]
    assert refused(state, Approve(), now=10_000_000) == "expired"
    reached, _ = told(state, Approve(), now=9_000_000)
    assert refused(reached, Reserve("act", DIGEST), now=10_000_000) == "expired"
    ended, outs = told(state, Expire(), now=10_000_000)
    assert (ended.status, decided(outs)[0].reason_kind) == ("expired", "expired")
    ended, outs = told(reached, Expire(), now=10_000_000)
    assert (ended.status, decided(outs)) == ("expired", []), "whoever asked was told already"


def test_a_released_reservation_can_be_taken_again_as_long_as_there_is_time() -> None:
    request = ask(expires=10.0)
    state = after(Approve(), Reserve("a", DIGEST), request=request)
    assert told(state, Expire(), now=11_000_000)[1] == [], "who reserved it in time may act"
    again, outs = told(state, Release("a"), now=5_000_000)
    assert again.status == "reached"
    assert Schedule("expire", Expire(), at=10_000_000) in outs
    assert told(again, Reserve("b", DIGEST))[0].holder == "b"
    assert told(state, Release("a"), now=11_000_000)[0].status == "expired"


def test_it_is_used_once() -> None:
    state = after(Approve(), Reserve("a", DIGEST))
    assert refused(state, Reserve("b", DIGEST)) == "reserved"
    assert refused(state, Consume("b")) == "reserved"
    assert refused(state, Release("b")) == "reserved"
    assert told(state, Reserve("a", DIGEST))[1] == [Reply({"status": "reserved"})]
    state = after(Approve(), Reserve("a", DIGEST), Consume("a"))
    assert told(state, Consume("a"))[1] == [Reply({"status": "consumed"})]
    for message in (Reserve("b", DIGEST), Consume("b"), Release("a"), Approve(), Deny()):
        assert refused(state, message, "user:bob") == "consumed"


def test_it_is_withdrawn_by_whoever_asked_and_nobody_else() -> None:
    assert refused(after(), Withdraw(), "user:eve") == "requester"
    state, _ = told(after(), Withdraw("cancelled"), "run/1")
    assert state.status == "withdrawn"
    assert refused(state, Approve()) == "withdrawn"
    reserved = after(Approve(), Reserve("a", DIGEST))
    assert told(reserved, Withdraw(), "run/1")[1] == [Reply({"status": "reserved"})]


def test_addresses_of_approvals_fit_whatever_the_place() -> None:
    places = ["a", "m[3]/a", "m[31]/a", "l#2/a", "a!catch/b", "deep/" * 60 + "a", "deep/" * 60 + "b"]
    addresses = {approval_of("run/1", place) for place in places}
    assert len(addresses) == len(places)
    for address in addresses:
        split(address)


MESSAGES = st.one_of(
    st.builds(Approve),
    st.builds(Deny),
    st.builds(Withdraw),
    st.builds(Expire),
    st.builds(Reserve, st.sampled_from("xy"), st.just(DIGEST)),
    st.builds(Consume, st.sampled_from("xy")),
    st.builds(Release, st.sampled_from("xy")),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.tuples(MESSAGES, st.sampled_from(["user:ada", "user:bob", "run/1"])), max_size=25))
def test_in_whatever_order_things_come_it_is_decided_once_and_consumed_once(moves: list[tuple[Any, str]]) -> None:
    state, _ = told(Approval(), ask(quorum=2, expires=10.0), "run/1")
    tells: list[ApprovalDecided] = []
    consumed = 0
    for number, (data, by) in enumerate(moves):
        try:
            state, outs = told(state, data, by, number * 600_000)
        except Refused:
            continue
        tells += decided(outs)
        consumed += any(type(o).__name__ == "ApprovalConsumed" for o in outs)
        assert len(tells) <= 1
        assert consumed <= 1
        if state.status in ("reached", "reserved", "consumed"):
            assert tells[0].approved
            assert {"ada", "bob"} <= {*state.given, "bob", "ada"}
            assert len(state.given) >= 2
        if tells and not tells[0].approved:
            assert state.status in ("denied", "expired")


class Say(msgspec.Struct, frozen=True):
    """Have an actor say something to the approval."""

    what: str
    digest: str = DIGEST


class Said(msgspec.Struct, frozen=True):
    answer: str


def _say(_state: Any, message: Message) -> list[Any]:
    match message.data:
        case Say("request"):
            return [Ask("approval/1", ask(requested_by=message.to), "r")]
        case Say("reserve", digest):
            return [Ask("approval/1", Reserve(message.to, digest), "r")]
        case Replied():
            return [Said(message.data.data["status"])]
        case TellRefused(code=code):
            return [Said(code)]
        case _:
            return []


holder = Kind(
    "holder", state=dict[str, str], decide=_say, evolve=lambda _state, event: {"said": event.answer},
    messages=[Say, ApprovalDecided, Replied, TellRefused], events=[Said],
)  # fmt: skip


def test_of_many_who_reserve_at_once_one_has_it_also_after_the_loss_of_a_host() -> None:
    async def script(system: System) -> None:
        await system.ask("holder/root", Say("request"))
        await system.settle()
        await system.ask("approval/1", Approve(), sender="user:ada")

        async def reserve() -> list[str]:
            await asyncio.gather(*(system.ask(f"holder/{n}", Say("reserve")) for n in range(20)))
            await system.settle()
            return [(await system.state(f"holder/{n}"))["said"] for n in range(20)]

        won = await reserve()
        assert won.count("reserved") == 20
        assert (await system.state("approval/1"))["status"] == "reserved"
        state = await system.state("approval/1")
        await system.lose_host(system.hosts[0])
        assert await reserve() == won
        assert (await system.state("approval/1"))["holder"] == state["holder"]

    run_system(Plugin(kinds=[approval, holder]), script, hosts=2)


def test_people_can_neither_ask_in_the_name_of_an_actor_nor_act_on_an_agreement() -> None:
    async def script(system: System) -> None:
        for said in (ask(), Reserve("call/1", DIGEST), Consume("call/1"), Release("call/1"), Expire()):
            with pytest.raises(Forbidden):
                await system.ask("approval/1", said, sender="user:mallory")

    run_system(Plugin(kinds=[approval]), script)


def test_actors_ask_and_hold_in_their_own_name_only() -> None:
    with pytest.raises(Refused, match="cannot ask for run/1"):
        told(Approval(), ask(), "account/mallory")
    reached = after(Approve())
    for said in (Reserve("call/1", DIGEST), Consume("call/1"), Release("call/1")):
        assert refused(reached, said, "call/2") == "holder"


def test_the_same_words_under_other_rules_are_another_approval() -> None:
    """Whoever comes first to an address must not decide who may agree."""
    state = after(request=ask(approvers=["ada"], expires=60.0))
    assert told(state, ask(approvers=["ada"], expires=60.0), "run/1", now=5)[1][0].data["status"] == "waiting"
    for other in (
        ask(approvers=["eve"], expires=60.0), ask(approvers=["ada"]), ask(approvers=["ada"], expires=61.0),
        ask(approvers=["ada"], expires=60.0, requesters=["bob"]), ask(approvers=["ada", "eve"], expires=60.0),
    ):  # fmt: skip
        assert refused(state, other, "run/1", now=5) == "exists"


@pytest.mark.parametrize("sender", ["nats:channel/x", "spool:channel/x", "user:a/b"])
def test_what_only_looks_like_an_actor_speaks_for_itself(sender: str) -> None:
    assert refused(after(), Approve("ada"), sender) == "speaker"
