"""Timers are rows; here is only the near future of this host's partitions, in one heap with one wake-up."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Collection, Sequence

from events.errors import ThespisError
from events.store import EventStore, Timer

HORIZON = 60_000_000
"""How far ahead rows are held in memory, in microseconds."""
SOON = 10_000_000
"""The same, while more than a page is overdue."""
PAGE = 5000
"""Rows that are read at a time."""

Fire = Callable[[Timer], None]
Key = tuple[str, str, str]


class Timers:
    """Fires each pending timer of the held partitions once it is due. A timer fired but not consumed is not fired
    again while it is held; after a takeover it is, and the append's guard sees to it that it counts once."""

    def __init__(self, store: EventStore, now: Callable[[], int], fire: Fire) -> None:
        self._store = store
        self._now = now
        self._fire = fire
        self._held: dict[Key, Timer] = {}
        self._heap: list[tuple[int, int, Timer]] = []
        self._count = 0
        self._partitions: set[int] = set()
        self._until = 0
        self._passed: dict[int, tuple[int, str, str, str]] = {}
        """Partition → the last of the overdue rows that were read, while there are very many."""
        self._handle: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="timers")

    async def stop(self) -> None:
        """Fire no more."""
        if self._handle is not None:
            self._handle.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def acquired(self, partitions: Collection[int]) -> None:
        """Take up the timers of new partitions."""
        self._partitions.update(partitions)
        for partition in partitions:
            self._passed.pop(partition, None)
        self._wake.set()

    def lost(self, partitions: Collection[int]) -> None:
        """Drop the timers of partitions that others own now."""
        gone = set(partitions)
        self._partitions -= gone
        for partition in gone:
            self._passed.pop(partition, None)
        self._held = {k: t for k, t in self._held.items() if t.partition not in gone}

    def set(self, timer: Timer) -> None:
        """A timer was committed."""
        if timer.due <= max(self._until, self._now() + HORIZON):
            self._hold(timer)
            self._arm()
        else:
            self._held.pop((timer.tenant, timer.stream, timer.name), None)

    def drop(self, tenant: str, stream: str, name: str, id: str | None = None) -> None:
        """A timer was consumed, or cancelled (`id` None)."""
        held = self._held.get((tenant, stream, name))
        if held is not None and (id is None or held.id == id):
            del self._held[tenant, stream, name]

    def forget(self, tenant: str, stream: str) -> None:
        """An actor stopped taking messages: its fired timers will be offered again by `again`."""
        for key in [k for k in self._held if k[0] == tenant and k[1] == stream]:
            del self._held[key]

    async def again(self, tenant: str, stream: str) -> None:
        """Take up the timers of an actor that goes on."""
        for timer in await self._store.timers_of(tenant, stream):
            self.set(timer)

    def _hold(self, timer: Timer) -> None:
        key = (timer.tenant, timer.stream, timer.name)
        held = self._held.get(key)
        if held is not None and held.id == timer.id:
            return
        self._held[key] = timer
        self._count += 1
        heapq.heappush(self._heap, (timer.due, self._count, timer))

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._heap:
            delay = max(0.0, (self._heap[0][0] - self._now()) / 1_000_000)
            self._handle = asyncio.get_running_loop().call_later(min(delay, 1.0), self._due)

    def _due(self) -> None:
        self._handle = None
        now = self._now()
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, _, timer = heapq.heappop(heap)
            if self._held.get((timer.tenant, timer.stream, timer.name)) is timer:
                self._fire(timer)
        self._arm()

    async def _run(self) -> None:
        while True:
            delay = HORIZON / 2_000_000
            if self._partitions:
                try:
                    delay = await self._read()
                except ThespisError:
                    delay = 0.5
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    async def _read(self) -> float:
        """Hold the near future; returns the seconds until the next look."""
        now = self._now()
        partitions = sorted(self._partitions)
        timers = await self._store.timers(partitions, now + HORIZON, PAGE)
        self._take(timers)
        if len(timers) < PAGE:
            self._passed.clear()
            self._until = now + HORIZON
            return HORIZON / 2_000_000
        if timers[-1].due > now:
            self._until = timers[-1].due
            return max(0.2, (timers[-1].due - now) / 2_000_000)
        # A page of what is overdue, perhaps all of actors that take nothing, as parked ones: others come after them.
        for partition in partitions:
            await self._read_on(partition, now)
        self._until = now + SOON
        return SOON / 2_000_000

    async def _read_on(self, partition: int, now: int) -> None:
        """Hold what is due soon in a partition; what was overdue and read before is not read again."""
        after = self._passed.get(partition)
        while partition in self._partitions:
            passed = self._passed.get(partition)
            timers = await self._store.timers([partition], now + SOON, PAGE, after)
            if self._passed.get(partition) is not passed:
                return  # it was lost and taken again meanwhile: the next look begins anew
            self._take(timers)
            overdue = [timer for timer in timers if timer.due <= now]
            if overdue and partition in self._partitions:
                last = overdue[-1]
                after = self._passed[partition] = (last.due, last.tenant, last.stream, last.name)
            if len(timers) < PAGE:
                return
            last = timers[-1]
            after = (last.due, last.tenant, last.stream, last.name)

    def _take(self, timers: Sequence[Timer]) -> None:
        for timer in timers:
            if timer.partition in self._partitions:
                self._hold(timer)
        self._arm()
