"""The newest events, read once for all live streams. Older ones are read from the log by each that needs them."""

from __future__ import annotations

import asyncio
from typing import Final

from events.envelope import Event
from events.store import EventStore
from gateway.http.heads import Heads
from gateway.http.pace import Pace

BYTES: Final = 32 << 20
"""Data kept at most, whatever the number of events."""

_READ: Final = 512


class Tail:
    """A window on the end of the log, at most `keep` events and `BYTES` of data.

    Everything comes from the log by position, so a window that is lost, or never was, changes nothing but the cost.
    """

    def __init__(self, store: EventStore, heads: Heads, keep: int) -> None:
        self._store = store
        self._heads = heads
        self._keep = keep
        self._events: list[Event] = []
        self._size = 0
        self._last = 0
        self._lock = asyncio.Lock()
        self._pace = Pace(_READ)

    @property
    def first(self) -> int:
        """The first position in the window; beyond the head when it is empty."""
        return self._last - len(self._events) + 1

    async def read(self, after: int, limit: int) -> list[Event]:
        """Events with a position greater than `after`, ascending, without a hole, at most `limit`. Empty at the head.

        Raises StoreUnavailable.
        """
        found = self._window(after, limit)
        if found is not None:
            return found
        if after < self._last:
            return await self._store.read(after, limit)
        async with self._lock:
            found = self._window(after, limit)  # somebody else may have read it meanwhile
            if found is None:
                if after > self._last:
                    self._events.clear()
                    self._size = 0
                    self._last = after
                rung = self._heads.head
                events = await self._store.read(self._last, self._pace.size)
                self._pace.saw(events)
                self._extend(events)
                if not events:
                    self._heads.doubt(rung, self._last)
                found = self._window(after, limit) or []
        return found

    def _window(self, after: int, limit: int) -> list[Event] | None:
        start = after - self._last + len(self._events)
        if 0 <= start < len(self._events):
            return self._events[start : start + limit]
        return None

    def _extend(self, events: list[Event]) -> None:
        if not events:
            return
        self._events += events
        self._last = events[-1].position
        self._size += sum(len(event.data) for event in events)
        self._heads.ring(self._last)
        drop = 0
        while drop < len(self._events) - 1 and (len(self._events) - drop > self._keep or self._size > BYTES):
            self._size -= len(self._events[drop].data)
            drop += 1
        del self._events[:drop]
