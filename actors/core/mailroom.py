"""Delivery of tells: a cursor over the log's positions, the same rule for every reader (P7).

At or below the cursor: drop. Cursor + 1: deliver what this host just committed straight from memory, or go on when
another host wrote there and says that it sent nothing here. Beyond: wait for whoever wrote in between to say so, but
a moment only if tells wait behind it, then read the mailbox table. So sender and receiver may move between hosts and
the order in which tells were decided still holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

from events.errors import ThespisError
from events.store import EventStore, Mail

PAGE = 1000
PATIENCE = 0.005
"""Seconds that tells wait for the ring of whoever wrote before them, until the store is asked instead."""
CALM = 0.1
"""The same where nothing is known to wait: hosts ring now and then for commits without tells."""
HELD = 64
"""Commits whose tells are held in memory meanwhile; those of more are read from the store."""
CHAIN = 1000
"""Commits that are noted at all meanwhile."""

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
        self._mine = 0
        """The active partitions as bits."""
        self._cursor = 0
        self._announced = 0
        self._chain: dict[int, tuple[int, int, Sequence[Mail]]] = {}
        """Commits beyond the cursor: where each begins → its head, the partitions (bits) to which it sent tells that
        are not in hand, the tells in hand."""
        self._urgent = False
        """Tells wait beyond the cursor, as far as is known."""
        self._patience: asyncio.TimerHandle | None = None
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
        if self._patience is not None:
            self._patience.cancel()
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
            self._mine &= ~(1 << partition)
            self._new.discard(partition)

    def committed(self, before: int, head: int, mails: Sequence[Mail]) -> None:
        """This host wrote positions before + 1 … head, and sent these tells with them."""
        if before == self._cursor and not self._new and not self._reading and not self._chain:
            self._cursor = head
            self._hand_out(mails)
        elif head > before:
            self._note(before, head, 0, mails)

    def doorbell(self, head: int, before: int | None = None, mail: int = -1) -> None:
        """Somebody wrote positions before + 1 … head, and sent tells to the partitions that are the bits of `mail`.

        Without `before` all that is known is that the log reaches to `head`.
        """
        if before is not None and head > before:
            self._note(before, head, mail, ())
        elif head > self._cursor and head > self._announced:
            self._announced = head
            self._wake.set()

    def _note(self, before: int, head: int, mail: int, mails: Sequence[Mail]) -> None:
        chain = self._chain
        before = max(before, self._cursor)  # of commits rung for together some may have been read already
        if head <= self._cursor or not (self._active or self._new) or (before in chain and not mails):
            return
        if len(chain) >= CHAIN:
            chain.clear()
            self._wake.set()
        elif len(chain) >= HELD and mails:
            mail, mails = -1, ()
        chain[before] = (head, mail, mails)
        self._urgent = self._urgent or bool(mails or mail & self._mine)
        if not self._reading and not self._new:
            self._follow()

    def _follow(self) -> None:
        """Go on as far as it is known who sent what."""
        chain = self._chain
        while (link := chain.get(self._cursor)) is not None:
            head, mail, mails = link
            if mail & self._mine:
                self._wake.set()
                return
            del chain[self._cursor]
            self._cursor = head
            self._hand_out(mails)
        if not chain:
            self._urgent = False
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + (PATIENCE if self._urgent else CALM)
        if self._patience is not None:
            if self._patience.when() <= due:
                return
            self._patience.cancel()
        self._patience = loop.call_at(due, self._impatient, self._cursor)

    def _impatient(self, cursor: int) -> None:
        self._patience = None
        if self._chain and cursor == self._cursor:
            self._wake.set()
        elif self._chain and not self._reading and not self._new:
            self._follow()

    def _hand_out(self, mails: Sequence[Mail]) -> None:
        active = self._active
        for mail in mails:
            floor = active.get(mail.partition)
            if floor is not None and mail.position > floor:
                self._deliver(mail)

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
                chain = self._chain
                for before in [each for each in chain if each < self._cursor]:
                    self._note(before, *chain.pop(before))
                delay = 0.05
            except ThespisError:
                self._wake.set()
                await asyncio.sleep(delay)
                delay = min(delay * 2, 1.0)
            finally:
                self._reading = False
            if not self._new:
                self._follow()

    async def _acquire(self) -> None:
        while self._new:
            partitions = sorted(self._new)
            first = not self._active
            head = await self._pages(partitions, 0, None)
            for partition in partitions:
                if partition in self._new:
                    self._new.discard(partition)
                    self._active[partition] = head
                    self._mine |= 1 << partition
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
