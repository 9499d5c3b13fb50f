"""What other hosts say about their commits decides whether the mailboxes are read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from actors.core import mailroom
from actors.core.mailroom import Mailroom
from actors.testing import run_virtual
from events.store import EventStore, Mail

HERE, ELSEWHERE = 3, 9


def mail(position: int, partition: int = HERE) -> Mail:
    return Mail(partition, "default", "account/a", 0, f"m{position}", "Deposit", 1, b"{}", "account/b", 0, "", "",
                position=position)  # fmt: skip


class Boxes:
    """The mailbox table, and how often it is read."""

    def __init__(self) -> None:
        self.head = 0
        self.waiting: list[Mail] = []
        self.reads = 0

    async def mail(self, partitions: Sequence[int], after: int, limit: int) -> tuple[list[Mail], int]:
        self.reads += 1
        found = [m for m in self.waiting if m.partition in partitions and m.position > after]
        return found[:limit], self.head


class Room:
    """A mailroom of one partition, at position 10."""

    def __init__(self) -> None:
        self.boxes = Boxes()
        self.boxes.head = 10
        self.delivered: list[int] = []
        self.arrived = asyncio.Event()
        self.mailroom = Mailroom(cast("EventStore", cast("Any", self.boxes)), self._deliver, lambda: None)

    def _deliver(self, mail: Mail) -> None:
        self.delivered.append(mail.position)
        self.arrived.set()

    async def __aenter__(self) -> Room:
        self.mailroom.start()
        self.mailroom.acquired([HERE])
        await self.until(lambda: self.mailroom.cursor == 10)
        for _ in range(5):
            await asyncio.sleep(0)
        self.boxes.reads = 0
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.mailroom.stop()

    async def until(self, true: Any) -> None:
        async with asyncio.timeout(10):
            while not true():
                await asyncio.sleep(0.001)

    def elsewhere(self, before: int, head: int, *, to: int | None = None) -> None:
        """Another host writes, with a tell at the first position or none; it has not rung yet."""
        self.boxes.head = max(self.boxes.head, head)
        if to is not None:
            self.boxes.waiting.append(mail(before + 1, to))

    def here(self, before: int, head: int, *mails: Mail) -> None:
        """This host writes."""
        self.boxes.head = max(self.boxes.head, head)
        self.boxes.waiting += mails
        self.mailroom.committed(before, head, mails)


async def test_commits_of_others_without_tells_to_here_are_passed_without_a_look() -> None:
    async with Room() as room:
        for head in range(11, 31):
            room.elsewhere(head - 1, head, to=ELSEWHERE)
            room.mailroom.doorbell(head, head - 1, 1 << ELSEWHERE)
        assert room.mailroom.cursor == 30
        room.here(30, 31, mail(31))
        assert room.delivered == [31]
        assert room.boxes.reads == 0


async def test_a_commit_of_another_host_that_sent_a_tell_here_is_read() -> None:
    async with Room() as room:
        room.elsewhere(10, 12, to=HERE)
        room.mailroom.doorbell(12, 10, 1 << HERE | 1 << ELSEWHERE)
        room.here(12, 13, mail(13))
        await room.until(lambda: room.mailroom.cursor == 13)
        assert room.delivered == [11, 13]


async def test_what_was_written_here_waits_for_the_ring_of_what_was_written_before() -> None:
    async with Room() as room:
        room.here(12, 13, mail(13))
        room.here(13, 14, mail(14))
        assert room.delivered == []
        room.mailroom.doorbell(12, 10, 0)
        assert room.delivered == [13, 14]
        assert room.mailroom.cursor == 14
        assert room.boxes.reads == 0


async def test_when_nobody_rings_for_the_hole_the_mailboxes_are_read_and_nothing_comes_twice() -> None:
    async with Room() as room:
        room.elsewhere(10, 12, to=HERE)
        room.here(12, 13, mail(13))
        await room.until(lambda: room.mailroom.cursor == 13)
        assert room.delivered == [11, 13]
        room.mailroom.doorbell(12, 10, 1 << HERE)
        room.mailroom.doorbell(13, 12, 1 << HERE)
        room.here(13, 14, mail(14))
        assert room.delivered == [11, 13, 14]


def test_where_no_tell_waits_behind_a_hole_nothing_is_read_while_the_ring_may_still_come() -> None:
    async def script() -> None:
        async with Room() as room:
            room.here(12, 13)
            room.here(13, 14)
            await asyncio.sleep(4 * mailroom.PATIENCE)
            assert room.boxes.reads == 0
            room.mailroom.doorbell(12, 10, 0)
            assert room.mailroom.cursor == 14
            room.elsewhere(14, 15, to=HERE)
            room.here(15, 16)  # and a ring that is lost
            await room.until(lambda: room.mailroom.cursor == 16)
            assert room.delivered == [15]

    run_virtual(script())


def test_a_tell_behind_a_hole_that_could_wait_is_read_soon() -> None:
    async def script() -> None:
        async with Room() as room:
            room.here(12, 13)
            begun = asyncio.get_running_loop().time()
            room.here(13, 14, mail(14))
            await room.until(lambda: room.delivered == [14])
            assert mailroom.PATIENCE <= asyncio.get_running_loop().time() - begun < 2 * mailroom.PATIENCE

    run_virtual(script())


async def test_a_ring_for_commits_of_which_the_first_were_read_already_leaves_no_hole() -> None:
    async with Room() as room:
        room.elsewhere(10, 12, to=HERE)
        room.mailroom.doorbell(12)
        await room.until(lambda: room.mailroom.cursor == 12)
        room.elsewhere(12, 14)
        room.mailroom.doorbell(14, 10, 0)
        room.here(14, 15, mail(15))
        assert room.delivered == [11, 15]
        assert room.boxes.reads == 1


async def test_a_ring_that_says_only_the_head_makes_the_mailboxes_be_read() -> None:
    async with Room() as room:
        room.elsewhere(10, 12, to=HERE)
        room.mailroom.doorbell(12)
        await room.until(lambda: room.mailroom.cursor == 12)
        assert room.delivered == [11]


async def test_two_rings_sent_as_one_over_the_cursor_are_found_out_by_reading() -> None:
    async with Room() as room:
        room.elsewhere(9, 12)
        room.elsewhere(11, 13, to=HERE)
        room.mailroom.doorbell(13, 9, 1 << HERE)
        await room.until(lambda: room.mailroom.cursor == 13)
        assert room.delivered == [12]


async def test_appends_without_events_make_no_hole() -> None:
    async with Room() as room:
        room.here(10, 10)
        room.here(11, 11)
        room.mailroom.doorbell(11, 10, 0)
        room.here(11, 12, mail(12))
        assert room.delivered == [12]
        assert room.boxes.reads == 0


@pytest.mark.parametrize("commits", [mailroom.HELD + 5, mailroom.CHAIN + 50])
async def test_more_than_can_be_held_behind_a_hole_comes_from_the_mailboxes_in_order(commits: int) -> None:
    async with Room() as room:
        for head in range(12, 12 + commits):
            room.here(head, head + 1, mail(head + 1))
        room.mailroom.doorbell(12, 10, 0)
        await room.until(lambda: room.mailroom.cursor == 12 + commits)
        assert room.delivered == list(range(13, 13 + commits))


async def test_a_partition_lost_and_taken_again_gets_its_tells_once_more_and_in_order() -> None:
    async with Room() as room:
        room.here(12, 13, mail(13))
        room.mailroom.lost([HERE])
        room.mailroom.acquired([HERE])
        room.mailroom.doorbell(12, 10, 0)
        await room.until(lambda: room.delivered == [13])
        room.here(13, 14, mail(14))
        await room.until(lambda: room.mailroom.cursor == 14)
        assert room.delivered == [13, 14]
