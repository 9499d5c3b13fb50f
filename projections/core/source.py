"""Any event store as a source for projections: reads whole envelopes and keeps the columns asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, cast

import msgspec

from events.envelope import Event
from events.store import EventStore
from projections.core.definition import EVENT_COLUMNS

_FIELDS = {f.name: f.type for f in msgspec.structs.fields(Event)}


@lru_cache(maxsize=256)
def view_type(columns: tuple[str, ...]) -> Callable[..., Event]:
    """A struct with just these columns of `Event`: touching another one is an AttributeError, not a wrong value."""
    if columns == EVENT_COLUMNS:
        return Event
    made = msgspec.defstruct("Event", [(c, _FIELDS[c]) for c in columns], frozen=True, gc=False)
    return cast("Callable[..., Event]", made)


class StoreSource:
    """Reads the log through the port `EventStore`. An adapter may have a narrower, quicker way of its own."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def head(self) -> int:
        """The last position that can be read."""
        return await self._store.head()

    async def read(
        self, after: int, upto: int, columns: Sequence[str], types: Sequence[str] | None, data_of: Sequence[str] | None
    ) -> list[Event]:
        """See `projections.core.port.Source`."""
        events = await self._store.read(after, upto - after, types)
        return _narrow([e for e in events if e.position <= upto], columns)

    async def at(self, positions: Sequence[int], columns: Sequence[str]) -> list[Event]:
        """See `projections.core.port.Source`."""
        found: list[Event] = []
        for position in sorted(positions):
            found += [e for e in await self._store.read(position - 1, 1) if e.position == position]
        return _narrow(found, columns)


def _narrow(events: list[Event], columns: Sequence[str]) -> list[Event]:
    if tuple(columns) == EVENT_COLUMNS:
        return events
    view = view_type(tuple(columns))
    if len(columns) == 1:
        return [view(getattr(e, columns[0])) for e in events]
    values: Callable[[Event], tuple[Any, ...]] = attrgetter(*columns)
    return [view(*values(e)) for e in events]
