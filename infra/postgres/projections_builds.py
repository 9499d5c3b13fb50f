"""The registry of builds: their rows, and the tables that come and go with them."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from infra.postgres import projections_tables as tables
from infra.postgres.connection import Connection
from projections.core.definition import Layout, Projection
from projections.core.port import Build, State

_BUILDS: Final = """
select b.projection, b.number, b.version, b.state, b.cursor, b.revision, b.indexed, b.tables,
       (select count(*) from thespis.projection_parked p where p.projection = b.projection and p.number = b.number),
       b.created_at, b.kept_until, b.note, b.declined
  from thespis.projection_builds b"""
_ALL: Final = f"{_BUILDS} order by b.projection, b.number"
_OF: Final = f"{_BUILDS} where b.projection = $1 order by b.number"
_STATE: Final = "select state from thespis.projection_builds where projection = $1 and number = $2"
_CREATE: Final = """
insert into thespis.projection_builds (projection, number, version, state, tables, created_at)
values ($1, nextval('thespis.projection_numbers'), $2, $3, $4, $5) returning number"""
_DROP: Final = "delete from thespis.projection_builds where projection = $1 and number = $2 returning tables"
_decode_tables = msgspec.json.Decoder(tuple[Layout, ...]).decode


async def builds(connection: Connection, projection: str | None) -> list[Build]:
    """All builds, of one projection or of all."""
    rows = await (connection.fetch(_ALL) if projection is None else connection.fetch(_OF, projection))
    return [_build(row) for row in rows]


def _build(record: Any) -> Build:
    values = list(record)
    values[7] = _decode_tables(values[7])
    return Build(*values)


async def state(connection: Connection, projection: str, number: int) -> State | None:
    """The state of a build, or None when it is not there."""
    return await connection.fetchval(_STATE, projection, number)


async def create(connection: Connection, projection: Projection, state: State) -> None:
    """A new build with empty tables, inside the open transaction."""
    declared = msgspec.json.encode(projection.layouts)
    number: int = await connection.fetchval(
        _CREATE, projection.name, projection.version, state, declared, time.time_ns() // 1000
    )
    for layout in projection.layouts:
        await connection.execute(tables.create_sql(tables.full_name(projection.name, number, layout.name), layout))


async def drop(connection: Connection, projection: str, number: int) -> None:
    """Remove a build and its tables, inside the open transaction."""
    for layout in _decode_tables(await connection.fetchval(_DROP, projection, number)):
        await connection.execute(f"drop table {tables.full_name(projection, number, layout.name)}")
