"""Asks, questions and operator commands between hosts, over NATS and in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from events import ids
from events.address import PARTITIONS, partition_of
from events.cloudevents import CloudEvent
from events.envelope import Answer, Message
from events.errors import (
    Busy,
    DeadlineExceeded,
    Forbidden,
    InvalidData,
    KeyReused,
    NotFound,
    NotOwned,
    OutcomeUnknown,
    Refused,
    ThespisError,
    Unserved,
)
from infra.memory.bus import MemoryBus
from infra.nats import errors
from infra.nats.asks import Asks
from infra.nats.bus import NatsBus
from infra.nats.client import Client, wall_clock
from infra.nats.connection import connect
from infra.nats.messages import (
    ASK,
    decode_answer,
    decode_ask,
    decode_message,
    encode_answer,
    encode_message,
    subject_for,
    target_of,
)
from infra.nats.wire import Wire
from tests.nats.fakes import Kernel, eventually

HERE = [p for p in range(PARTITIONS) if p % 2 == 0]
THERE = [p for p in range(PARTITIONS) if p % 2]

NewWire = Callable[[], Awaitable[Wire]]


@pytest.fixture(params=["memory", "nats"])
def bus_url(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "memory" else request.getfixturevalue("nats_server").host_url


@pytest.fixture
async def wire(bus_url: str) -> AsyncIterator[NewWire]:
    """A function that gives a bus for one more process."""
    shared = MemoryBus()
    opened: list[NatsBus] = []

    async def new() -> Wire:
        if not bus_url:
            return shared
        opened.append(NatsBus(await connect(bus_url)))
        return opened[-1]

    yield new
    for bus in opened:
        await bus.close()


@asynccontextmanager
async def serving(bus: Wire, kernel: Kernel) -> AsyncIterator[Asks]:
    asks = Asks(bus, kernel, interval=0.01)
    await asks.start()
    try:
        yield asks
    finally:
        await asks.stop()


def message(to: str = "account/1", *, id: str | None = None, **changes: Any) -> Message:
    fields: dict[str, Any] = {
        "id": id or ids.random_id(),
        "type": "Deposit",
        "to": to,
        "tenant": "default",
        "body": b'{"amount":1}',
        "sender": "user:ada",
        "time": wall_clock(),
        "causation": "",
        "correlation": "",
        "digest": b"0123456789abcdef",
    }
    return Message(**(fields | changes))


def owned_by(partitions: list[int]) -> str:
    return next(f"account/{n}" for n in range(1000) if partition_of("default", f"account/{n}") in partitions)


async def test_an_ask_goes_to_the_host_that_owns_the_actor(wire: NewWire) -> None:
    one, two = Kernel(HERE), Kernel(THERE)
    bus_one, bus_two = await wire(), await wire()
    async with serving(bus_one, one), serving(bus_two, two):
        client = Client(bus_one, one)
        near, far = owned_by(HERE), owned_by(THERE)
        for to in (near, far):
            answer = await client.ask(message(to))
            assert (answer.outcome, answer.data) == ("handled", b'{"amount":1}')
    assert [m.to for m in one.handled] == [near]
    assert [m.to for m in two.handled] == [far]


async def test_nothing_of_a_message_is_lost_on_the_way(wire: NewWire) -> None:
    kernel = Kernel()
    async with serving(await wire(), kernel):
        sent = message(
            "account/a b".replace(" ", "%20"),
            tenant="acme",
            causation="urn:x 1",
            correlation="ünïcode",
            schema=3,
            trace="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            meta='{"label":"ä"}'.encode(),
            deadline=wall_clock() + 60_000_000,
            sender="user:ada lovelace",
        )
        await Client(await wire()).ask(sent)
    assert kernel.handled == [sent]


async def test_a_repetition_gets_the_first_answer_and_another_body_a_conflict(wire: NewWire) -> None:
    kernel = Kernel()
    async with serving(await wire(), kernel):
        client = Client(await wire())
        first = await client.ask(message(id="0198c5f0-0000-7000-8000-000000000001"))
        again = await client.ask(message(id="0198c5f0-0000-7000-8000-000000000001"))
        assert (again.position, again.duplicate) == (first.position, True)
        with pytest.raises(KeyReused, match="another body"):
            await client.ask(message(id="0198c5f0-0000-7000-8000-000000000001", digest=b"f" * 16))


@pytest.mark.parametrize("local", [True, False])
async def test_an_ask_waits_while_the_partition_moves(wire: NewWire, local: bool) -> None:
    one, two = Kernel([]), Kernel([])
    bus = await wire()
    async with serving(bus, one), serving(await wire(), two):
        asked = asyncio.create_task(Client(bus, one if local else None).ask(message()))
        await asyncio.sleep(0)
        two.epochs.update(dict.fromkeys(range(PARTITIONS), 2))
        assert (await asked).outcome == "handled"
    assert len(two.handled) == 1


async def test_who_owns_nothing_any_more_is_not_asked(wire: NewWire) -> None:
    one, two = Kernel(), Kernel([])
    client_bus = await wire()
    async with serving(await wire(), one) as a, serving(await wire(), two) as b:
        await Client(client_bus).ask(message())
        two.epochs.update(one.epochs)
        one.epochs.clear()
        await eventually(lambda: not a.serving and len(b.serving) == PARTITIONS)
        await Client(client_bus).ask(message())
    assert len(one.handled) == len(two.handled) == 1


async def test_nobody_owning_the_actor_is_said_when_the_deadline_comes(wire: NewWire) -> None:
    with pytest.raises((NotOwned, DeadlineExceeded)):
        await Client(await wire()).ask(message(deadline=wall_clock() + 100_000))


async def test_a_deadline_in_the_past_is_not_even_sent(wire: NewWire) -> None:
    kernel = Kernel()
    async with serving(await wire(), kernel):
        with pytest.raises(DeadlineExceeded):
            await Client(await wire()).ask(message(deadline=wall_clock() - 1))
    assert kernel.handled == []


@pytest.mark.parametrize(
    "error",
    [
        Busy("full", retry_after=0.5),
        Unserved("no kind", hint="give a workspace"),
        InvalidData("bad"),
        Refused("no", code="insufficient"),
    ],
)
async def test_errors_keep_their_class_and_advice(wire: NewWire, error: ThespisError) -> None:
    kernel = Kernel()
    async with serving(await wire(), kernel):
        kernel.errors = [error]
        with pytest.raises(type(error), match=error.message) as raised:
            await Client(await wire()).ask(message())
    assert raised.value.retry_after == error.retry_after
    assert raised.value.hint == error.hint
    if isinstance(error, Refused):
        assert isinstance(raised.value, Refused)
        assert raised.value.reason_code == "insufficient"


async def test_an_unknown_outcome_is_asked_for_again(wire: NewWire) -> None:
    kernel = Kernel()
    async with serving(await wire(), kernel):
        kernel.errors = [OutcomeUnknown(), NotOwned()]
        assert (await Client(await wire()).ask(message())).outcome == "handled"


@pytest.mark.parametrize("near", [True, False])
async def test_publishing_answers_the_position_of_each_event(wire: NewWire, near: bool) -> None:
    kernel = Kernel()
    bus = await wire()
    async with serving(bus, kernel):
        client = Client(bus, kernel) if near else Client(await wire())
        events = [CloudEvent(id=str(n), source=f"urn:{n % 3}", type="T", data=b"%d" % n) for n in range(200)]
        first = await client.publish(events, "default", "user:ada")
        assert [id for id, _ in first] == [str(n) for n in range(200)]
        assert sorted(position for _, position in first) == list(range(1, 201))
        assert await client.publish(events, "default", "user:ada") == first
        with pytest.raises(KeyReused, match="event 1:"):
            await client.publish([events[0], CloudEvent(id="1", source="urn:1", type="T", data=b"0")], "default", "x")
    if near:
        assert [m.body for m in kernel.handled] == [e.data for e in events]


@pytest.mark.parametrize("near", [True, False])
async def test_questions_and_commands_reach_the_owner(wire: NewWire, near: bool) -> None:
    owner, other = Kernel(THERE), Kernel(HERE)
    far = owned_by(THERE)
    bus, other_bus = await wire(), await wire()
    async with serving(bus, owner), serving(other_bus, other):
        client = Client(bus, owner) if near else Client(other_bus, other)
        assert await client.query("default", far, "Balance", b'{"at":1}') == b'{"balance":5}'
        assert (await client.view("default", far, 4)).at == 4
        await client.park("default", far, "ada", "looks odd")
        await client.resume("default", far, "ada", "fixed", skip=True)
        await client.fork("default", "account/x", 3, far, "ada")
        await client.resolve("default", far.partition("/")[2], "succeeded", b'{"ok":true}', "ada", "called them")
    id = far.partition("/")[2]
    assert owner.operations == [
        ("query", "default", far, "Balance", b'{"at":1}'),
        ("park", "default", far, "ada", "looks odd"),
        ("resume", "default", far, "ada", "fixed", True),
        ("fork", "default", "account/x", 3, far, "ada"),
        ("resolve", "default", id, "succeeded", b'{"ok":true}', "ada", "called them"),
    ]
    assert other.operations == []


async def test_a_view_without_a_kernel_goes_over_the_bus(wire: NewWire) -> None:
    async with serving(await wire(), Kernel()):
        view = await Client(await wire()).view("default", "account/1")
    assert (view.address, view.state, view.version) == ("account/1", {"balance": 5}, 9)


async def test_a_question_whose_receiver_says_not_found_is_not_found(wire: NewWire) -> None:
    class Empty(Kernel):
        async def query(self, tenant: str, address: str, question: str, body: bytes) -> bytes:
            raise NotFound(f"{address} has no history")

    async with serving(await wire(), Empty()):
        with pytest.raises(NotFound, match="account/1 has no history"):
            await Client(await wire()).query("default", "account/1", "Balance", b"")


async def test_rubbish_is_answered_with_an_error(wire: NewWire) -> None:
    kernel = Kernel()
    bus = await wire()
    one = f"{partition_of('default', 'account/1')}.default.account.1"
    id = {"thespis-id": "0198c5f0-0000-7000-8000-000000000001"}
    async with serving(await wire(), kernel):
        for subject, headers, body in [
            (f"ask.{one}", {}, b"{}"),
            (f"ask.{one}", {"ce-type": "no good"}, b"{}"),
            (f"ask.{one}", {"ce-type": "T"}, b"{"),
            (f"ask.{one}", {"ce-type": "T"}, b"[" * 100),
            (f"ask.{one}", {"ce-type": "T", "thespis-schema": "x"}, b"{}"),
            (f"ask.{one}", {"ce-type": "T", "thespis-deadline": "5"}, b"{}"),
            ("ask.1.default.account", {"ce-type": "T"}, b"{}"),
            ("ask.1.DEFAULT.account.1", {"ce-type": "T"}, b"{}"),
            (f"host.{one}", {"ce-type": "T"}, b"{}"),
            (f"host.{one}", {"ce-type": "T", "thespis-id": "x"}, b"{}"),
            (f"host.{one}", id, b"{}"),
            (f"host.{one}", {"ce-type": "T", "thespis-time": "x", **id}, b"{}"),
            ("q.1.default.account.1", {"thespis-op": "destroy"}, b"{}"),
            ("ctl.1.default.account.1", {"thespis-op": "park"}, b"[]"),
        ]:
            reply = await bus.request(subject, body, headers)
            assert isinstance(errors.decode(reply.headers, reply.data), ThespisError), (subject, headers)
    assert kernel.handled == []
    assert kernel.operations == []


@pytest.mark.parametrize("to", ["approval/1", "policy/default", "tool/files.read", "call/1", "budget/tenant.x"])
async def test_those_who_decide_what_may_be_done_are_not_asked_by_clients_of_the_bus(wire: NewWire, to: str) -> None:
    kernel = Kernel()
    bus = await wire()
    async with serving(await wire(), kernel):
        subject = subject_for(ASK, "default", to)
        reply = await bus.request(subject, b'{"by":"boss"}', {"ce-type": "Approve", "ce-source": "channel/x"})
        assert isinstance(errors.decode(reply.headers, reply.data), Forbidden)
    assert kernel.handled == []


@pytest.mark.parametrize("op", ["park", "resume", "fork", "resolve"])
async def test_a_client_that_may_put_questions_may_not_operate(wire: NewWire, op: str) -> None:
    kernel = Kernel()
    bus = await wire()
    async with serving(await wire(), kernel):
        subject = subject_for("q", "default", "account/1")
        reply = await bus.request(subject, b'{"by":"user:eve","reason":"mine"}', {"thespis-op": op})
        assert isinstance(errors.decode(reply.headers, reply.data), Forbidden)
    assert kernel.operations == []


async def test_a_client_cannot_pretend_to_be_somebody_else(wire: NewWire) -> None:
    kernel = Kernel()
    async with serving(await wire(), kernel):
        forged = message(sender="system/spool", time=5, meta=b'{"source":"urn:x","id":"1"}')
        client = Client(await wire(), plane=ASK)
        first = await client.ask(forged)
        again = await client.ask(forged)
        assert (again.duplicate, again.position) == (True, first.position)
    (handled,) = kernel.handled
    assert (handled.sender, handled.meta) == ("nats:system/spool", None)
    assert handled.time > 5
    assert handled.id != forged.id


def test_addresses_survive_subjects() -> None:
    for address in ("channel/telegram:42", "feed/a/b.c/d", "x/%2E.*", "x/~"):
        subject = subject_for("ask", "acme", address)
        assert len(subject.split(".")) == 5
        assert target_of(subject) == ("acme", address)


@pytest.mark.parametrize("data", [None, b'{"a":[1,2]}'])
def test_answers_survive_the_wire(data: bytes | None) -> None:
    answer = Answer("refused", 7, 3, data, duplicate=True)
    assert decode_answer(encode_answer(answer)) == answer


def test_a_plain_request_needs_nothing_but_a_type() -> None:
    found = decode_ask("ask.1.default.account.1", {"ce-type": "Deposit"}, b'{"amount": 1}', 5)
    assert (found.type, found.to, found.time, found.body) == ("Deposit", "account/1", 5, b'{"amount":1}')
    assert found.correlation == found.id
    again = decode_message("host.1.default.account.1", encode_message(found), found.body, 9)
    assert again == found
