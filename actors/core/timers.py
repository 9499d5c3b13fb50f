"""Timers are rows; here is only the near future of this host's partitions, in one heap with one wake-up."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Collection

from events.errors import ThespisError
from events.store import EventStore, Timer

HORIZON = 60_000_000
"""How far ahead rows are held in memory, in microseconds."""
PAGE = 5000
"""Rows that are read at a time, and more when so many are overdue."""

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
        self._page = PAGE
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
        self._wake.set()

    def lost(self, partitions: Collection[int]) -> None:
        """Drop the timers of partitions that others own now."""
        gone = set(partitions)
        self._partitions -= gone
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
                    until = self._now() + HORIZON
                    timers = await self._store.timers(sorted(self._partitions), until, self._page)
                    if len(timers) == self._page:
                        until = timers[-1].due
                        delay = max(0.2, min(delay, (until - self._now()) / 2_000_000))
                        if until <= self._now():
                            # Perhaps of actors that take nothing, as parked ones: others come after them.
                            self._page *= 2
                    elif len(timers) < PAGE:
                        self._page = PAGE
                    self._until = until
                    for timer in timers:
                        if timer.partition in self._partitions:
                            self._hold(timer)
                    self._arm()
                except ThespisError:
                    delay = 0.5
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
