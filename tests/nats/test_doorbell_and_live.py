"""The doorbell and the live plane: lossy, quick, and the same on either bus."""

from __future__ import annotations

import asyncio

from events.bus import BusMessage
from infra.memory.bus import MemoryBus
from infra.nats import live
from infra.nats.doorbell import SUBJECT, Doorbell
from tests.nats.fakes import eventually


async def test_a_ring_is_heard_by_everybody_and_rings_of_one_turn_are_one() -> None:
    bus = MemoryBus()
    here: list[int] = []
    there: list[int] = []
    one, two = Doorbell(bus, here.append), Doorbell(bus, there.append)
    await one.start()
    await two.start()
    for head in (3, 7, 5):
        one.ring(head)
    await eventually(lambda: bool(here and there))
    assert here == there == [7]
    one.ring(7)
    one.ring(9)
    await eventually(lambda: len(there) == 2)
    assert here == there == [7, 9]
    await two.stop()
    one.ring(11)
    await eventually(lambda: len(here) == 3)
    assert there == [7, 9]
    await one.stop()


async def test_rubbish_on_the_doorbell_is_ignored() -> None:
    bus = MemoryBus()
    heard: list[int] = []
    bell = Doorbell(bus, heard.append)
    await bell.start()
    for rubbish in (b"", b"x", b"-1", b"9" * 40, "٣".encode()):
        bus.send(SUBJECT, rubbish)
    bus.send(SUBJECT, b"1")
    await eventually(lambda: bool(heard))
    assert heard == [1]
    await bell.stop()


async def test_who_watches_an_actor_sees_what_it_shows() -> None:
    bus = MemoryBus()
    of_one: asyncio.Queue[BusMessage] = asyncio.Queue()
    of_all: asyncio.Queue[BusMessage] = asyncio.Queue()
    await live.watch(bus, "default", of_one.put, "agent/a.b")
    await live.watch(bus, "default", of_all.put)
    live.show(bus, "default", "agent/x", "token", b"not yours")
    live.show(bus, "other", "agent/a.b", "token", b"not your tenant")
    live.show(bus, "default", "agent/a.b", "token", b"hello")
    async with asyncio.timeout(10):
        message = await of_one.get()
        assert (live.topic_of(message), message.data) == ("token", b"hello")
        assert [(await of_all.get()).data for _ in range(2)] == [b"not yours", b"hello"]
    assert of_one.empty()
