"""The rows a fold works on: a write-back cache over one build's tables, with an undo for the event in hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from math import isfinite
from operator import itemgetter
from types import NoneType
from typing import Any, Final, cast

import msgspec

from events.errors import BadDefinition, InvalidData
from projections.core.definition import Key, Layout, Ref, Row, Table

MAX_INDEXED = 2_000
"""Bytes of text that fit into a key or an index of every adapter."""

_TYPES: Final[dict[str, set[type[Any]]]] = {
    "str": {str},
    "int": {int},
    "float": {float, int},
    "bool": {bool},
    "bytes": {bytes},
}
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
    __slots__ = ("cache", "columns", "copy", "dirty", "key_of", "layout", "values_of", "width")

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.columns = tuple(c.name for c in layout.columns)
        self.width = len(self.columns)
        self.key_of = _getter(layout.key)
        self.values_of = _getter(self.columns)
        self.copy: Callable[[Row], Row] = deepcopy if any(c.kind == "json" for c in layout.columns) else dict
        self.cache: dict[Key, Row | None] = {}
        self.dirty: dict[Key, int] = {}


def _getter(names: tuple[str, ...]) -> Callable[[Row], tuple[Any, ...]]:
    if len(names) == 1:
        only = names[0]
        return lambda row: (row[only],)
    return cast("Callable[[Row], tuple[Any, ...]]", itemgetter(*names))


class Rows:
    """What `apply` reads and writes. Rows are dicts with all columns of their table.

    `get` hands out a copy; nothing is changed before `put`, `insert` or `delete`.
    """

    __slots__ = ("_journal", "_tables")

    def __init__(self, layouts: Iterable[Layout]) -> None:
        self._tables = {layout.name: _Rows(layout) for layout in layouts}
        self._journal: list[tuple[_Rows, Key, Any, Any]] = []

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
        self._write(table, row, _PUT)

    def insert(self, table: Table, row: Row) -> None:
        """Add a row that is new by construction (say, keyed by position): nothing is looked up.

        When it turns out to exist already, the event is parked.
        """
        self._write(table, row, _INSERT)

    def delete(self, table: Table, *key: Any) -> None:
        """Remove the row of that key, if it is there."""
        rows = self._tables[table.name]
        self._journal.append((rows, key, rows.cache.get(key, _MISSING), rows.dirty.get(key, _MISSING)))
        rows.cache[key] = None
        rows.dirty[key] = _PUT

    def _write(self, table: Table, row: Row, how: int) -> None:
        rows = self._tables[table.name]
        if len(row) != rows.width:
            raise InvalidData(
                f"{table.name}: a row has {', '.join(row)}", hint=f"all columns are needed: {', '.join(rows.columns)}"
            )
        key = rows.key_of(row)
        before = rows.cache.get(key, _MISSING)
        dirty: int | None = rows.dirty.get(key)
        if how == _INSERT and before is not _MISSING and before is not None:
            raise InvalidData(f"{table.name}: row {key!r} is inserted twice")
        self._journal.append((rows, key, before, dirty or _MISSING))
        rows.cache[key] = row
        # What was there before this batch, or was deleted in it, has to be overwritten.
        rows.dirty[key] = dirty or how

    # -- for the fold
    def accept(self) -> None:
        """Keep the changes of the event in hand."""
        self._journal.clear()

    def undo(self) -> None:
        """Forget the changes of the event in hand."""
        for rows, key, before, dirty in reversed(self._journal):
            _restore(rows.cache, key, before)
            _restore(rows.dirty, key, dirty)
        self._journal.clear()

    def missing(self, refs: Iterable[Ref], into: dict[str, dict[Key, None]]) -> None:
        """Note which of the rows are not here yet."""
        for table, key in refs:
            if key not in self._tables[table.name].cache:
                into.setdefault(table.name, {})[key] = None

    def fill(self, table: str, keys: Iterable[Key], found: Iterable[Row]) -> None:
        """Take in rows that were loaded; keys that were not found are known to be absent."""
        rows = self._tables[table]
        for key in keys:
            rows.cache[key] = None
        for row in found:
            rows.cache[rows.key_of(row)] = row

    def changes(self) -> list[Change]:
        """Everything accepted since `settle`. Raises InvalidData when a value does not fit its column."""
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
            _check(rows.layout, change.inserts)
            _check(rows.layout, change.puts)
            found.append(change)
        return found

    def settle(self, limit: int) -> None:
        """The changes are stored. Rows stay cached, up to `limit` of a table; rows only inserted do not."""
        for rows in self._tables.values():
            for key, how in rows.dirty.items():
                if how == _INSERT:
                    del rows.cache[key]
            rows.dirty.clear()
            if len(rows.cache) > limit:
                rows.cache.clear()

    def forget(self) -> None:
        """Drop everything: somebody else may have written."""
        self._journal.clear()
        for rows in self._tables.values():
            rows.cache.clear()
            rows.dirty.clear()

    def contents(self) -> dict[str, list[Row]]:
        """All rows by table, in order of their keys: for folds that live in memory alone."""
        return {
            name: [row for _, row in sorted(rows.cache.items(), key=_first) if row is not None]
            for name, rows in self._tables.items()
        }


def _first(item: tuple[Key, Row | None]) -> Key:
    return item[0]


def _restore(where: dict[Any, Any], key: Key, before: Any) -> None:
    if before is _MISSING:
        where.pop(key, None)
    else:
        where[key] = before


def _check(layout: Layout, rows: list[tuple[Any, ...]]) -> None:
    if not rows:
        return
    indexed = {*layout.key, *(name for index in layout.indexes for name in index)}
    for column, values in zip(layout.columns, zip(*rows, strict=True), strict=True):
        where = f"{layout.name}.{column.name}"
        if column.kind == "json":
            _check_json(where, values, column.null)
            continue
        found = set(map(type, values))
        if column.null:
            found.discard(NoneType)
        if not found <= _TYPES[column.kind]:
            names = ", ".join(sorted(t.__name__ for t in found - _TYPES[column.kind]))
            raise InvalidData(f"{where} holds {column.kind}{' or None' if column.null else ''}, not {names}")
        if column.kind == "str":
            _check_text(where, values, column.name in indexed)
        elif column.kind == "float":
            if not all(isfinite(v) for v in values if v is not None):
                raise InvalidData(f"{where}: not a finite number")
        elif column.kind == "int":
            numbers = [v for v in values if v is not None] if column.null else values
            if numbers and (min(numbers) < -(2**63) or max(numbers) >= 2**63):
                raise InvalidData(f"{where}: a number does not fit 64 bits")


def _check_text(where: str, values: tuple[Any, ...], indexed: bool) -> None:
    for value in values:
        if value is None:
            continue
        if "\0" in value:
            raise InvalidData(f"{where}: text holds a NUL character", hint="strip it in apply")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise InvalidData(f"{where}: text holds half of a surrogate pair", hint="strip it in apply") from error
        if indexed and len(value) * 4 > MAX_INDEXED and len(value.encode()) > MAX_INDEXED:
            raise InvalidData(
                f"{where}: text of {len(value)} characters in a key or index", hint=f"at most {MAX_INDEXED} bytes"
            )


def _check_json(where: str, values: tuple[Any, ...], null: bool) -> None:
    for value in values:
        if value is None and not null:
            raise InvalidData(f"{where} holds JSON, not None")
        try:
            text = msgspec.json.encode(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidData(f"{where}: not a JSON value: {error}") from error
        if b"\\u0000" in text:
            raise InvalidData(f"{where}: text holds a NUL character", hint="strip it in apply")
