"""What every bus keeps. Runs against NATS and against the bus in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from events.bus import BusMessage
from events.errors import DeadlineExceeded, Invalid, NotFound, ThespisError, TooLarge
from infra.memory.bus import MemoryBus
from infra.nats.bus import NatsBus
from infra.nats.connection import connect
from infra.nats.wire import Wire


@pytest.fixture(params=["memory", "nats"])
def bus_url(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "memory" else request.getfixturevalue("nats_url")


@pytest.fixture
async def bus(bus_url: str) -> AsyncIterator[Wire]:
    if not bus_url:
        yield MemoryBus()
        return
    opened = NatsBus(await connect(bus_url))
    yield opened
    await opened.close()


class Inbox:
    def __init__(self) -> None:
        self.messages: list[BusMessage] = []
        self._more = asyncio.Event()

    def take(self, message: BusMessage) -> None:
        self.messages.append(message)
        self._more.set()

    async def handle(self, message: BusMessage) -> None:
        self.take(message)

    async def reaches(self, count: int) -> list[BusMessage]:
        async with asyncio.timeout(10):
            while len(self.messages) < count:
                self._more.clear()
                await self._more.wait()
        return self.messages


async def settled(bus: Wire) -> None:
    """Everything sent before has arrived: a message of our own made the way there and back."""
    inbox = Inbox()
    subscription = await bus.listen("test.settled", inbox.take)
    await bus.publish("test.settled", b"")
    await inbox.reaches(1)
    await subscription.stop()


async def test_what_is_published_arrives_in_order_with_its_headers(bus: Wire) -> None:
    inbox = Inbox()
    await bus.subscribe("plant.*.temperature", inbox.handle)
    for n in range(100):
        await bus.publish("plant.hall.temperature", b"%d" % n, {"Unit": "celsius", "note": "a b"}, "answers.here")
    await bus.publish("plant.hall.pressure", b"not for us")
    found = await inbox.reaches(100)
    await settled(bus)
    assert [message.data for message in found] == [b"%d" % n for n in range(100)]
    assert found[0].subject == "plant.hall.temperature"
    assert dict(found[0].headers) == {"Unit": "celsius", "note": "a b"}
    assert found[0].reply == "answers.here"


async def test_a_trailing_wildcard_takes_everything_below(bus: Wire) -> None:
    inbox = Inbox()
    await bus.subscribe("plant.>", inbox.handle)
    for subject in ("plant", "plant.a", "plant.a.b.c", "plants.a"):
        await bus.publish(subject, b"")
    await settled(bus)
    assert [message.subject for message in inbox.messages] == ["plant.a", "plant.a.b.c"]


async def test_every_subscriber_gets_a_message_and_one_of_each_queue(bus: Wire) -> None:
    alone, also = Inbox(), Inbox()
    group = [Inbox(), Inbox(), Inbox()]
    await bus.listen("work", alone.take)
    await bus.subscribe("work", also.handle)
    for member in group:
        await bus.listen("work", member.take, "team")
    for _ in range(60):
        await bus.publish("work", b"")
    await alone.reaches(60)
    await also.reaches(60)
    await settled(bus)
    assert sum(len(member.messages) for member in group) == 60


async def test_a_handler_takes_one_message_after_the_other(bus: Wire) -> None:
    inside = most = 0
    inbox = Inbox()

    async def slow(message: BusMessage) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1
        inbox.take(message)

    await bus.subscribe("slow", slow)
    for _ in range(20):
        await bus.publish("slow", b"")
    await inbox.reaches(20)
    assert most == 1


async def test_a_handler_that_fails_does_not_stop_the_next_message(bus: Wire) -> None:
    inbox = Inbox()

    async def fails(message: BusMessage) -> None:
        if message.data == b"bad":
            raise ValueError(message)
        inbox.take(message)

    def fails_too(message: BusMessage) -> None:
        if message.data == b"bad":
            raise ValueError(message)
        inbox.take(message)

    await bus.subscribe("frail", fails)
    await bus.listen("frail", fails_too)
    await bus.publish("frail", b"bad")
    await bus.publish("frail", b"good")
    await inbox.reaches(2)


async def test_a_request_gets_its_answer(bus: Wire) -> None:
    async def answer(message: BusMessage) -> None:
        await bus.publish(message.reply, message.data.upper(), {"Heard": message.headers["Said"]})

    await bus.subscribe("echo", answer)
    replies = await asyncio.gather(*(bus.request("echo", b"n%d" % n, {"Said": str(n)}, 10) for n in range(50)))
    assert [reply.data for reply in replies] == [b"N%d" % n for n in range(50)]
    assert [reply.headers["Heard"] for reply in replies] == [str(n) for n in range(50)]


async def test_a_request_nobody_listens_to_fails_at_once(bus: Wire) -> None:
    with pytest.raises(NotFound):
        await bus.request("nobody.home", b"", timeout=60)


async def test_a_request_nobody_answers_fails_in_time(bus: Wire) -> None:
    await bus.subscribe("deaf", Inbox().handle)
    with pytest.raises(DeadlineExceeded, match="deaf"):
        await bus.request("deaf", b"", timeout=0.05)


async def test_a_call_is_answered_exactly_once(bus: Wire) -> None:
    def answer_twice(message: BusMessage) -> None:
        bus.send(message.reply, b"1")
        bus.send(message.reply, b"2")

    await bus.listen("twice", answer_twice)
    results: list[BusMessage | ThespisError] = []
    first = asyncio.Event()

    def done(result: BusMessage | ThespisError) -> None:
        results.append(result)
        first.set()

    bus.call("twice", b"", None, 10, done)
    assert results == []
    async with asyncio.timeout(10):
        await first.wait()
    await settled(bus)
    assert [result.data for result in results if isinstance(result, BusMessage)] == [b"1"]
    assert len(results) == 1


async def test_nothing_arrives_after_stopping(bus: Wire) -> None:
    inbox = Inbox()
    subscription = await bus.subscribe("gone", inbox.handle)
    await bus.publish("gone", b"before")
    await inbox.reaches(1)
    await subscription.stop()
    await subscription.stop()
    await bus.publish("gone", b"after")
    await settled(bus)
    assert len(inbox.messages) == 1
    with pytest.raises(NotFound):
        await bus.request("gone", b"", timeout=60)


async def test_a_message_above_the_limit_is_refused_here(bus: Wire) -> None:
    with pytest.raises(TooLarge):
        await bus.publish("large", b"x" * (9 * 1024 * 1024))


async def test_headers_cannot_smuggle_commands(bus: Wire) -> None:
    inbox = Inbox()
    await bus.listen("victim", inbox.take)
    with pytest.raises(Invalid):
        await bus.publish("anything", b"", {"X": "1\r\n\r\n\r\nPUB victim 0\r\n\r\n"})
    with pytest.raises(Invalid):
        await bus.publish("anything\r\nPUB victim 0\r\n", b"")
    await settled(bus)
    assert inbox.messages == []
