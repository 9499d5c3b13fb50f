"""Delivery of tells: a cursor over the log's positions, the same rule for every reader (P7).

At or below the cursor: drop. Cursor + 1: deliver what this host just committed straight from memory. Beyond: read the
mailbox table. So sender and receiver may move between hosts and the order in which tells were decided still holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

from events.errors import ThespisError
from events.store import EventStore, Mail

PAGE = 1000

Deliver = Callable[[Mail], None]


class Mailroom:
    """Hands the waiting tells of this host's partitions to `deliver`, in order, each once per ownership.

    `room()` is awaited before each page, so that a flood waits in the store and not in memory.
    """

    def __init__(self, store: EventStore, deliver: Deliver, room: Callable[[], asyncio.Future[None] | None]) -> None:
        self._store = store
        self._deliver = deliver
        self._room = room
        self._active: dict[int, int] = {}
        """Partition → position up to which its mail was taken when it was acquired."""
        self._new: set[int] = set()
        self._cursor = 0
        self._announced = 0
        self._reading = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def cursor(self) -> int:
        """Every tell sent at or below this position, to partitions held here, has been taken."""
        return self._cursor

    def start(self) -> None:
        """Begin reading."""
        self._task = asyncio.create_task(self._run(), name="mailroom")

    async def stop(self) -> None:
        """End reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def acquired(self, partitions: Collection[int]) -> None:
        """Take up the mail of new partitions."""
        self._new.update(partitions)
        self._wake.set()

    def lost(self, partitions: Collection[int]) -> None:
        """Leave the mail of partitions to others."""
        for partition in partitions:
            self._active.pop(partition, None)
            self._new.discard(partition)

    def committed(self, before: int, head: int, mails: Sequence[Mail]) -> None:
        """This host wrote positions before + 1 … head, and sent these tells with them."""
        if before == self._cursor and not self._new and not self._reading:
            self._cursor = head
            active = self._active
            for mail in mails:
                if mail.partition in active:
                    self._deliver(mail)
        else:
            self.doorbell(head)

    def doorbell(self, head: int) -> None:
        """Somebody wrote up to `head`."""
        if head > self._cursor and head > self._announced:
            self._announced = head
            self._wake.set()

    async def _run(self) -> None:
        delay = 0.05
        while True:
            try:
                async with asyncio.timeout(1.0):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            self._reading = True
            try:
                await self._acquire()
                await self._tail()
                delay = 0.05
            except ThespisError:
                self._wake.set()
                await asyncio.sleep(delay)
                delay = min(delay * 2, 1.0)
            finally:
                self._reading = False

    async def _acquire(self) -> None:
        while self._new:
            partitions = sorted(self._new)
            first = not self._active
            head = await self._pages(partitions, 0, None)
            for partition in partitions:
                if partition in self._new:
                    self._new.discard(partition)
                    self._active[partition] = head
            if first:
                self._cursor = max(self._cursor, head)

    async def _tail(self) -> None:
        if not self._active:
            return
        self._cursor = max(self._cursor, await self._pages(sorted(self._active), self._cursor, self._active))

    async def _pages(self, partitions: list[int], after: int, floors: dict[int, int] | None) -> int:
        """Deliver everything of the partitions beyond `after`; returns the head up to which that is everything."""
        seen: tuple[int, int] = (after, 1 << 60)
        while True:
            room = self._room()
            if room is not None:
                await room
            mails, head = await self._store.mail(partitions, after, PAGE)
            for mail in mails:
                key = (mail.position, mail.ordinal)
                if key <= seen:
                    continue
                seen = key
                floor = self._new_floor(mail.partition) if floors is None else floors.get(mail.partition)
                if floor is not None and mail.position > floor:
                    self._deliver(mail)
            if len(mails) < PAGE:
                return head
            after = max(after, mails[-1].position - 1)

    def _new_floor(self, partition: int) -> int | None:
        return 0 if partition in self._new else None
