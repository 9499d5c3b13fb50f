"""The log as projections read it, with what is sealed opened: rows hold what they are about."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import Any, Final

from events.envelope import Event
from events.sealing import is_sealed, keys_in, unseal
from events.subjects import Keyring, KeysNeeded, Place
from projections.core.definition import EVENT_COLUMNS
from projections.core.port import Source
from projections.core.source import view_type

_PLACE: Final = {"tenant", "stream", "version", "type", "data"}


class OpenedSource:
    """A `projections.Source` over another one. `types` are the event types with personal fields."""

    def __init__(self, source: Source, keyring: Keyring, types: Collection[str]) -> None:
        self._source = source
        self._keyring = keyring
        self._types = frozenset(types)

    async def head(self) -> int:
        """The last position that can be read."""
        return await self._source.head()

    async def read(
        self, after: int, upto: int, columns: Sequence[str], types: Sequence[str] | None, data_of: Sequence[str] | None
    ) -> list[Event]:
        """See `projections.core.port.Source`. Raises BadDefinition when keys do not open with this master key."""
        wanted = types if data_of is None else data_of if types is None else [t for t in types if t in data_of]
        if "data" not in columns or (wanted is not None and self._types.isdisjoint(wanted)):
            return await self._source.read(after, upto, columns, types, data_of)
        more = _with_place(columns)
        return await self._opened(await self._source.read(after, upto, more, types, data_of), columns)

    async def at(self, positions: Sequence[int], columns: Sequence[str]) -> list[Event]:
        """See `projections.core.port.Source`."""
        if "data" not in columns:
            return await self._source.at(positions, columns)
        return await self._opened(await self._source.at(positions, _with_place(columns)), columns)

    async def _opened(self, events: list[Event], columns: Sequence[str]) -> list[Event]:
        sealed = [n for n, e in enumerate(events) if e.type in self._types and e.data and is_sealed(e.data)]
        needed = KeysNeeded()
        for n in sealed:
            needed.keys |= keys_in(events[n].data)
        datas: dict[int, bytes] = {}
        while sealed and len(datas) < len(sealed):
            if needed:
                await self._keyring.fetch(needed)
            try:
                for n in sealed:
                    if n not in datas:
                        e = events[n]
                        place = Place(e.tenant, e.stream, str(e.version), e.type)
                        datas[n] = unseal(self._keyring, e.data, place)
            except KeysNeeded as missing:
                needed = missing
        if not datas and tuple(columns) == _with_place(columns):
            return events
        view, data_at = view_type(tuple(columns)), list(columns).index("data")
        values: Callable[[Event], Any] = attrgetter(*columns)
        found: list[Event] = []
        for n, event in enumerate(events):
            row: list[Any] = list(values(event)) if len(columns) > 1 else [values(event)]
            row[data_at] = datas.get(n, row[data_at])
            found.append(view(*row))
        return found


def _with_place(columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in EVENT_COLUMNS if name in columns or name in _PLACE)
