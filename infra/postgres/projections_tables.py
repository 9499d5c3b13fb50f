"""SQL for a build's own tables, from what its projection declares. Names are checked there and quoted here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from infra.postgres.connection import Connection
from projections.core.definition import Column, Key, Kind, Layout, Row
from projections.core.rows import Change

TYPES: Final[dict[Kind, str]] = {
    "str": "text",
    "int": "bigint",
    "float": "double precision",
    "bool": "boolean",
    "bytes": "bytea",
    "json": "jsonb",
}
COPY_FROM: Final = 64
"""Rows from which COPY is quicker than an insert."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def table_name(projection: str, number: int, table: str) -> str:
    """The table of a build, without its schema: at most 63 characters."""
    return f"p_{projection}_{number}_{table}"


def full_name(projection: str, number: int, table: str) -> str:
    """The table of a build, as SQL."""
    return f'thespis."{table_name(projection, number, table)}"'


def create_sql(name: str, layout: Layout) -> str:
    """The table with its key; secondary indexes come later."""
    columns = ", ".join(_declared(c) for c in layout.columns)
    return f"create table {name} ({columns}, primary key ({_names(layout.key)}))"


def _declared(column: Column) -> str:
    collate = ' collate "C"' if column.kind == "str" else ""
    return f'"{column.name}" {TYPES[column.kind]}{collate}{"" if column.null else " not null"}'


def index_sql(name: str, layout: Layout) -> list[str]:
    """The secondary indexes."""
    return [f"create index on {name} ({_names(index)})" for index in layout.indexes]


def _names(names: Iterable[str]) -> str:
    return ", ".join(f'"{n}"' for n in names)


def _arrays(columns: Iterable[Column], first: int = 1) -> str:
    """`$1::text[], …`: one array per column; JSON travels as text."""
    return ", ".join(
        f"${i}::{'text' if c.kind == 'json' else TYPES[c.kind]}[]" for i, c in enumerate(columns, start=first)
    )


def _values(columns: Iterable[Column]) -> str:
    return ", ".join(f'u."{c.name}"{"::jsonb" if c.kind == "json" else ""}' for c in columns)


@lru_cache(maxsize=512)
def insert_sql(name: str, layout: Layout, overwrite: bool, before: str = "", where: str = "", first: int = 1) -> str:
    """Insert rows given as arrays of columns, from parameter `first` on; `overwrite` those that exist."""
    names = [c.name for c in layout.columns]
    sql = (
        f"{before}insert into {name} ({_names(names)}) select {_values(layout.columns)}"
        f" from unnest({_arrays(layout.columns, first)}) u({_names(names)}){where}"
    )
    if not overwrite:
        return sql
    others = [n for n in names if n not in layout.key]
    sets = ", ".join(f'"{n}" = excluded."{n}"' for n in others)
    return f"{sql} on conflict ({_names(layout.key)}) do " + (f"update set {sets}" if others else "nothing")


MOVE: Final = """
update thespis.projection_builds set cursor = $3, revision = revision + 1
 where projection = $1 and number = $2 and revision = $4"""


def at_once(projection: str, number: int, changes: Sequence[Change]) -> tuple[str, list[Any]] | None:
    """Cursor and rows as one statement, which is a transaction and a round trip; None when it takes more.

    Its parameters follow the four of `MOVE`. It says how many rows it wrote: none when the build has moved.
    """
    if not changes:
        return MOVE, []
    (change, *others), some = changes, changes[0].puts or changes[0].inserts
    layout = change.layout
    if others or change.deletes or (change.puts and change.inserts) or len(some) >= COPY_FROM:
        return None
    if change.puts and len(layout.key) == len(layout.columns):
        return None  # nothing is written when the rows exist
    name = full_name(projection, number, layout.name)
    moved = f"with moved as ({MOVE} returning 1) "
    sql = insert_sql(name, layout, bool(change.puts), moved, " where exists (select from moved)", 5)
    return sql, list(_columns(_rows(layout, some)))


def _keys(layout: Layout) -> list[Column]:
    return [c for name in layout.key for c in layout.columns if c.name == name]


@lru_cache(maxsize=512)
def load_sql(name: str, layout: Layout) -> str:
    """Select the rows of keys given as arrays."""
    keys = _keys(layout)
    columns = ", ".join(f't."{c.name}"' for c in layout.columns)
    return (
        f"select {columns} from unnest({_arrays(keys)}) u({_names(layout.key)}) join {name} t using"
        f" ({_names(layout.key)})"
    )


@lru_cache(maxsize=512)
def delete_sql(name: str, layout: Layout) -> str:
    """Delete the rows of keys given as arrays."""
    on = " and ".join(f't."{k}" = u."{k}"' for k in layout.key)
    return f"delete from {name} t using unnest({_arrays(_keys(layout))}) u({_names(layout.key)}) where {on}"


async def write(connection: Connection, projection: str, number: int, change: Change) -> None:
    """Do one table's changes inside the open transaction."""
    layout = change.layout
    name = full_name(projection, number, layout.name)
    if change.deletes:
        await connection.execute(delete_sql(name, layout), *_columns(change.deletes))
    if len(change.inserts) >= COPY_FROM:
        await connection.copy_records_to_table(
            table_name(projection, number, layout.name),
            schema_name="thespis",
            columns=[c.name for c in layout.columns],
            records=_rows(layout, change.inserts),
        )
    elif change.inserts:
        await connection.execute(insert_sql(name, layout, False), *_columns(_rows(layout, change.inserts)))
    if change.puts:
        await connection.execute(insert_sql(name, layout, True), *_columns(_rows(layout, change.puts)))


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))


def _rows(layout: Layout, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    json = {i for i, c in enumerate(layout.columns) if c.kind == "json"}
    if not json:
        return rows
    return [tuple(_encode(v).decode() if i in json and v is not None else v for i, v in enumerate(row)) for row in rows]


async def load(connection: Connection, projection: str, number: int, layout: Layout, keys: list[Key]) -> list[Row]:
    """The rows of those keys that exist."""
    sql = load_sql(full_name(projection, number, layout.name), layout)
    return rows_of(layout, await connection.fetch(sql, *_columns(keys)))


async def sample(connection: Connection, projection: str, number: int, layout: Layout, size: int) -> list[Key]:
    """Keys of the rows whose keys have the smallest hashes. Looks at every row."""
    keys = _names(layout.key)
    records = await connection.fetch(
        f"select {keys} from {full_name(projection, number, layout.name)}"
        f" order by hashtextextended(row({keys})::text, 0), {keys} limit $1",
        size,
    )
    return [tuple(record) for record in records]


async def digests(
    connection: Connection, projection: str, number: int, layout: Layout, columns: Sequence[str], keys: Sequence[Key]
) -> dict[Key, str]:
    """MD5 of these columns, as text, of the rows of those keys that exist."""
    if not keys:
        return {}
    mine = ", ".join(f't."{name}"' for name in columns)
    records = await connection.fetch(
        f"select md5(row({mine})::text), {_names(layout.key)} from unnest({_arrays(_keys(layout))})"
        f" u({_names(layout.key)}) join {full_name(projection, number, layout.name)} t using ({_names(layout.key)})",
        *_columns(keys),
    )
    return {tuple(record[1:]): record[0] for record in records}


def rows_of(layout: Layout, records: Any) -> list[Row]:
    """Rows as their readers know them; `records` hold the columns in order."""
    names = [c.name for c in layout.columns]
    rows = [dict(zip(names, record, strict=True)) for record in records]
    json = [c.name for c in layout.columns if c.kind == "json"]
    for name in json:
        for row in rows:
            if row[name] is not None:
                row[name] = _decode(row[name])
    return rows
