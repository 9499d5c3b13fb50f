"""Pages of the log for one build, the next one being read while this one is folded."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from events.envelope import Event
from projections.core.definition import Projection
from projections.core.port import Source

MAX_SPAN: Final = 200_000
"""Positions one read may cover when only some types are wanted."""


NEAR: Final = 256
"""Positions that are read whole, whatever types are wanted: then their number tells whether they are all there."""


class Short(Exception):
    """The log ends before the position that was said to be its head."""


class Pages:
    """Reads ranges of positions. Positions have no gaps, so a range that is short of events is noticed."""

    def __init__(self, projection: Projection, source: Source, batch: int) -> None:
        self._source = source
        self._batch = batch
        self._span = batch
        self._columns = projection.columns
        names = projection.type_names
        self._types = None if projection.every else frozenset(names)
        # Only the listed types are decoded; when nothing else was asked for, the data of others need not travel.
        self._data_of = names if "data" not in (projection.reads or ("data",)) or not projection.every else None
        self._ahead: tuple[int, int, asyncio.Task[list[Event]]] | None = None

    async def page(self, cursor: int, head: int) -> tuple[int, list[Event]]:
        """The position the page after `cursor` reaches (at most the head), and the wanted events up to it.

        Raises Short when the log does not reach that far, as far as that can be seen.
        """
        if self._ahead is None or self._ahead[0] != cursor:
            self.drop()
            self._read(cursor, head)
        assert self._ahead is not None
        _, upto, task = self._ahead
        events = await asyncio.shield(task)
        self._ahead = None
        wanted = self._types
        if wanted is None or upto - cursor <= NEAR:
            if len(events) != upto - cursor:
                raise Short(f"the log holds {len(events)} events after position {cursor} up to {upto}")
            if wanted is not None:
                events = [e for e in events if e.type in wanted]
        elif len(events) < self._batch // 4:
            self._span = min(self._span * 2, MAX_SPAN)
        elif len(events) > self._batch * 2:
            self._span = max(self._span // 2, self._batch)
        if upto < head:
            self._read(upto, head)
            await asyncio.sleep(0)  # let it be sent
        return upto, events

    def _read(self, after: int, head: int) -> None:
        upto = min(after + self._span, head)
        types = None if self._types is None or upto - after <= NEAR else tuple(self._types)
        data_of = self._data_of if types is None else None
        read = self._source.read(after, upto, self._columns, types, data_of)
        self._ahead = (after, upto, asyncio.ensure_future(read))

    def drop(self) -> None:
        """Forget what was read ahead."""
        if self._ahead is not None:
            task = self._ahead[2]
            task.add_done_callback(forget_outcome)
            task.cancel()
            self._ahead = None


def forget_outcome(task: asyncio.Task[Any]) -> None:
    """Nobody asks what became of it."""
    if not task.cancelled():
        task.exception()
