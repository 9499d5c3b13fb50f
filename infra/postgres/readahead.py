"""Sequential reads of the log fetch the next page while the caller works on this one.

A full page never changes (positions have no gaps and the log is only appended to), so it may be fetched early. A page
that came back short may have grown: it is asked for again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from events.envelope import Event
from infra.postgres import reading
from infra.postgres.connection import Links

_SMALLEST: Final = 200
_MOST: Final = 4
_KEPT: Final = 2.0
"""Pages shorter than `_SMALLEST` are not worth it; at most `_MOST` wait, for at most `_KEPT` seconds."""

_Key = tuple[int, int]
_Page = asyncio.Task[list[Event]]


class ReadAhead:
    """Pages of the log in order, for several readers at once."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._fetching: dict[_Key, tuple[_Page, asyncio.TimerHandle]] = {}
        self._ends: deque[int] = deque(maxlen=8)
        """Where pages ended lately: who goes on from there reads in sequence."""

    async def page(self, after: int, limit: int) -> list[Event]:
        """The next events after a position."""
        if limit < _SMALLEST:
            return await self._fetch(after, limit)
        task = self._take((after, limit))
        events = await _settled(task) if task is not None else None
        if events is None or len(events) < limit:
            events = await self._fetch(after, limit)
        if len(events) == limit:
            end = events[-1].position
            if task is not None or after in self._ends:
                await self._start(end, limit)
            self._ends.append(end)
        return events

    def close(self) -> None:
        """Stop fetching."""
        for key in list(self._fetching):
            self._drop(key)

    async def _fetch(self, after: int, limit: int) -> list[Event]:
        return await self._links.run(lambda c: reading.page(c, after, limit, None))

    async def _start(self, after: int, limit: int) -> None:
        key = (after, limit)
        if key in self._fetching:
            return
        while len(self._fetching) >= _MOST:
            self._drop(next(iter(self._fetching)))
        task = asyncio.create_task(self._fetch(after, limit))
        task.add_done_callback(_look)
        self._fetching[key] = (task, asyncio.get_running_loop().call_later(_KEPT, self._drop, key))
        # Let the query out before the caller keeps the loop busy: one turn to write it, one to flush it.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _take(self, key: _Key) -> _Page | None:
        task, timer = self._fetching.pop(key, (None, None))
        if timer is not None:
            timer.cancel()
        return task

    def _drop(self, key: _Key) -> None:
        task = self._take(key)
        if task is not None:
            task.cancel()


async def _settled(task: _Page) -> list[Event] | None:
    """The page, or None when fetching it failed: the caller then meets the error itself."""
    await asyncio.wait([task])
    return None if task.cancelled() or task.exception() is not None else task.result()


def _look(task: _Page) -> None:
    """A page nobody came for may have failed."""
    if not task.cancelled():
        task.exception()
