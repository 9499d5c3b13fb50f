"""The rows a fold works on: a write-back cache over one build's tables, with an undo for the event in hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from operator import itemgetter
from typing import Any, Final, cast

import msgspec

from events.errors import BadDefinition, InvalidData
from projections.core.definition import Key, Layout, Row, Table
from projections.core.values import check_values

_MISSING: Final[Any] = object()
_INSERT: Final = 1
_PUT: Final = 2


class Change(msgspec.Struct, gc=False):
    """What a batch does to one table: rows that must be new, rows to set, keys to remove; tuples in column order."""

    layout: Layout
    inserts: list[tuple[Any, ...]]
    puts: list[tuple[Any, ...]]
    deletes: list[Key]


class _Rows:
    __slots__ = ("cache", "columns", "copy", "dirty", "key_of", "layout", "leaving", "values_of", "width")

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.columns = tuple(c.name for c in layout.columns)
        self.width = len(self.columns)
        self.key_of = _getter(layout.key)
        self.values_of = _getter(self.columns)
        self.copy: Callable[[Row], Row] = deepcopy if any(c.kind == "json" for c in layout.columns) else dict
        self.cache: dict[Key, Row | None] = {}
        self.dirty: dict[Key, int] = {}
        self.leaving: dict[Key, int] = {}


def _getter(names: tuple[str, ...]) -> Callable[[Row], tuple[Any, ...]]:
    if len(names) == 1:
        only = names[0]
        return lambda row: (row[only],)
    return cast("Callable[[Row], tuple[Any, ...]]", itemgetter(*names))


class Rows:
    """What `apply` reads and writes. Rows are dicts with all columns of their table.

    `get` hands out a copy; nothing is changed before `put`, `insert` or `delete`.
    """

    __slots__ = ("_tables", "journal")

    def __init__(self, layouts: Iterable[Layout]) -> None:
        self._tables = {layout.name: _Rows(layout) for layout in layouts}
        self.journal: list[tuple[_Rows, Key, Any, int | None]] = []
        """What to restore to undo the event in hand. Cleared after each, so that old rows are freed at once."""

    # -- for apply
    def get(self, table: Table, *key: Any) -> Row | None:
        """The row of that key, or None. The key must be among those `keys` named for this event."""
        rows = self._tables[table.name]
        try:
            row = rows.cache[key]
        except KeyError:
            raise BadDefinition(
                f"{table.name}: row {key!r} is read but not named by keys()",
                hint="keys(event, data) must return every (table, key) that apply gets",
            ) from None
        return None if row is None else rows.copy(row)

    def put(self, table: Table, row: Row) -> None:
        """Set a row, new or not. All columns must be given."""
        rows = self._tables[table.name]
        if len(row) != rows.width:
            raise _misfit(rows, row)
        key = rows.key_of(row)
        cache, dirty = rows.cache, rows.dirty
        self.journal.append((rows, key, cache.get(key, _MISSING), dirty.get(key)))
        cache[key] = row
        dirty.setdefault(key, _PUT)

    def insert(self, table: Table, row: Row) -> None:
        """Add a row that is new by construction (say, keyed by position): nothing is looked up.

        When it turns out to exist already, the event is parked.
        """
        rows = self._tables[table.name]
        if len(row) != rows.width:
            raise _misfit(rows, row)
        key = rows.key_of(row)
        cache, dirty = rows.cache, rows.dirty
        before = cache.get(key, _MISSING)
        if before is not _MISSING and before is not None:
            raise InvalidData(f"{table.name}: row {key!r} is inserted twice")
        self.journal.append((rows, key, before, dirty.get(key)))
        cache[key] = row
        dirty.setdefault(key, _INSERT)  # one that was deleted in this batch has to be overwritten

    def delete(self, table: Table, *key: Any) -> None:
        """Remove the row of that key, if it is there."""
        rows = self._tables[table.name]
        self.journal.append((rows, key, rows.cache.get(key, _MISSING), rows.dirty.get(key)))
        rows.cache[key] = None
        rows.dirty[key] = _PUT

    # -- for the fold
    def undo(self) -> None:
        """Forget the writes of the event in hand."""
        for rows, key, before, dirty in reversed(self.journal):
            _restore(rows.cache, key, before)
            _restore(rows.dirty, key, _MISSING if dirty is None else dirty)
        self.journal.clear()

    def caches(self) -> Mapping[str, Mapping[Key, Row | None]]:
        """The rows that are here, by table: what is not in them has to be loaded."""
        return {name: rows.cache for name, rows in self._tables.items()}

    def fill(self, table: str, keys: Iterable[Key], found: Iterable[Row]) -> None:
        """Take in rows that were loaded; keys that were not found are known to be absent."""
        rows = self._tables[table]
        for key in keys:
            rows.cache[key] = None
        for row in found:
            rows.cache[rows.key_of(row)] = row

    def changes(self) -> list[Change]:
        """Everything since the last batch was handed over. Raises InvalidData when a value does not fit its column."""
        found: list[Change] = []
        for rows in self._tables.values():
            if not rows.dirty:
                continue
            change = Change(rows.layout, [], [], [])
            for key, how in rows.dirty.items():
                row = rows.cache[key]
                if row is None:
                    change.deletes.append(key)
                    continue
                try:
                    values = rows.values_of(row)
                except KeyError as error:
                    raise InvalidData(f"{rows.layout.name}: a row lacks column {error}") from error
                (change.inserts if how == _INSERT else change.puts).append(values)
            check_values(rows.layout, change.inserts)
            check_values(rows.layout, change.puts)
            found.append(change)
        return found

    def hand_over(self) -> None:
        """The changes are on their way: what comes now belongs to the next batch."""
        for rows in self._tables.values():
            rows.leaving = rows.dirty
            rows.dirty = {}

    def settle(self, limit: int) -> None:
        """What was handed over is stored. Rows stay cached, up to `limit` of a table; rows only inserted do not.

        Call it between batches: rows that the next one loaded may go.
        """
        for rows in self._tables.values():
            cache, dirty = rows.cache, rows.dirty
            if len(cache) > limit:
                rows.cache = {key: cache[key] for key in dirty}
            else:
                for key, how in rows.leaving.items():
                    if how == _INSERT and key not in dirty:
                        del cache[key]
            rows.leaving = {}

    def forget(self) -> None:
        """Drop everything: somebody else may have written."""
        self.journal.clear()
        for rows in self._tables.values():
            rows.cache, rows.dirty, rows.leaving = {}, {}, {}

    def contents(self) -> dict[str, list[Row]]:
        """All rows by table, in order of their keys: for folds that live in memory alone."""
        return {
            name: [row for _, row in sorted(rows.cache.items(), key=_first) if row is not None]
            for name, rows in self._tables.items()
        }


def _misfit(rows: _Rows, row: Row) -> InvalidData:
    return InvalidData(
        f"{rows.layout.name}: a row has {', '.join(row)}", hint=f"all columns are needed: {', '.join(rows.columns)}"
    )


def _first(item: tuple[Key, Row | None]) -> Key:
    return item[0]


def _restore(where: dict[Any, Any], key: Key, before: Any) -> None:
    if before is _MISSING:
        where.pop(key, None)
    else:
        where[key] = before
