"""The doorbell and the live plane: lossy, quick, and the same on either bus."""

from __future__ import annotations

import asyncio

from actors.testing import run_virtual
from events.bus import BusMessage
from infra.memory.bus import MemoryBus
from infra.nats import live
from infra.nats.doorbell import SUBJECT, WROTE, Doorbell, Heard
from tests.nats.fakes import eventually

Ring = tuple[int, int | None, int]


def noting(rings: list[Ring]) -> Heard:
    return lambda head, before, mail: rings.append((head, before, mail))


async def test_a_ring_is_heard_by_everybody_and_an_older_one_is_not_rung() -> None:
    bus = MemoryBus()
    here: list[Ring] = []
    there: list[Ring] = []
    one = Doorbell(bus, noting(here))
    two = Doorbell(bus, noting(there))
    await one.start()
    await two.start()
    for head, before, mail in ((3, 0, 1), (7, 3, 1 << 63), (5, 3, 2)):
        one.ring(head, before, mail)
    await eventually(lambda: len(here) == len(there) == 2)
    assert here == there == [(3, 0, 1), (7, 3, 1 << 63)]
    one.ring(7, 3, 0)
    one.ring(9, 7, 0)
    await eventually(lambda: len(there) == 3)
    assert here == there == [(3, 0, 1), (7, 3, 1 << 63), (9, 7, 0)]
    await two.stop()
    one.ring(11, 9, 0)
    await eventually(lambda: len(here) == 4)
    assert len(there) == 3
    await one.stop()


async def test_rubbish_on_the_doorbell_is_ignored() -> None:
    bus = MemoryBus()
    heard: list[Ring] = []
    bell = Doorbell(bus, noting(heard))
    await bell.start()
    for rubbish in (b"", b"x", b"-1", b"9" * 40, "٣".encode()):
        bus.send(SUBJECT, rubbish)
    bus.send(SUBJECT, b"1")
    await eventually(lambda: bool(heard))
    assert heard == [(1, None, -1)]
    await bell.stop()


async def test_what_others_wrote_in_between_is_rung_by_them() -> None:
    bus = MemoryBus()
    heard: list[Ring] = []
    bell = Doorbell(bus, noting(heard))
    await bell.start()
    bell.ring(3, 0, 1)
    bell.ring(9, 5, 2)
    await eventually(lambda: len(heard) == 2)
    assert heard == [(3, 0, 1), (9, 5, 2)]
    await bell.stop()


async def test_of_a_ring_that_makes_no_sense_only_the_head_is_believed() -> None:
    bus = MemoryBus()
    heard: list[Ring] = []
    bell = Doorbell(bus, noting(heard))
    await bell.start()
    wrong = ["", ",", "7", "7 8", "7 8 ", "x 8 1", "-1 8 1", "8 8 1", "7 9 1", "7 6 1", "7 8 g", "7 8 -1", "٣ 8 1"]
    wrong += ["7 8 " + "f" * 17, "9" * 40 + " 8 1", "3 " + "9" * 40 + " 1", "7 8 1,", "3 4 1,7 8", "7 8 1 3 4 1"]
    for text in wrong:
        bus.send(SUBJECT, b"8", {WROTE: text})
    bus.send(SUBJECT, b"8", {WROTE: "7 8 ff"})
    await eventually(lambda: len(heard) > len(wrong))
    assert heard == [(8, None, -1)] * len(wrong) + [(8, 7, 255)]
    await bell.stop()


def test_while_nobody_sends_tells_several_commits_share_a_ring() -> None:
    async def script() -> None:
        bus = MemoryBus()
        heard: list[Ring] = []
        rung: list[BusMessage] = []
        bell = Doorbell(bus, noting(heard))
        await bell.start()
        await bus.listen(SUBJECT, rung.append)
        bell.ring(3, 0, 0)
        for head, before in ((4, 3), (6, 4), (9, 8), (12, 9), (15, 14)):  # others wrote 7, 8, 13 and 14
            bell.ring(head, before, 0)
        await eventually(lambda: len(heard) == 4)
        assert heard == [(3, 0, 0), (6, 3, 0), (12, 8, 0), (15, 14, 0)]
        assert [ring.data for ring in rung] == [b"3", b"15"]
        bell.ring(16, 15, 0)
        bell.ring(17, 16, 1)
        bell.ring(18, 17, 0)  # tells may wait behind it
        await eventually(lambda: len(heard) == 6)
        assert heard[4:] == [(17, 15, 1), (18, 17, 0)]
        assert [ring.data for ring in rung[2:]] == [b"17", b"18"]
        await bell.stop()

    run_virtual(script())


def test_a_ring_that_was_put_off_leaves_when_the_host_does() -> None:
    async def script() -> None:
        bus = MemoryBus()
        heard: list[Ring] = []
        one, other = Doorbell(bus, noting([])), Doorbell(bus, noting(heard))
        await one.start()
        await other.start()
        one.ring(3, 0, 0)
        one.ring(4, 3, 0)
        await one.stop()
        await eventually(lambda: len(heard) == 2)
        assert heard == [(3, 0, 0), (4, 3, 0)]
        await other.stop()

    run_virtual(script())


def test_tells_of_others_make_a_host_ring_at_once() -> None:
    async def script() -> None:
        bus = MemoryBus()
        heard: list[Ring] = []
        one, other = Doorbell(bus, noting(heard)), Doorbell(bus, noting([]))
        await one.start()
        await other.start()
        other.ring(3, 0, 1)
        await eventually(lambda: len(heard) == 1)
        one.ring(4, 3, 0)
        one.ring(5, 4, 0)
        await eventually(lambda: len(heard) == 3)
        assert heard == [(3, 0, 1), (4, 3, 0), (5, 4, 0)]
        await one.stop()
        await other.stop()

    run_virtual(script())


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
