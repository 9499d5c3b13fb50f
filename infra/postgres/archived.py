"""Reading what was moved to the archive.

Events move one way. So who looks into `events` first and here afterwards misses none, and may find one twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from infra.postgres.archive_block import BLOB, CHUNK, DATA, POSITION, TYPE, Row, block_of, placed, unpack
from infra.postgres.connection import Connection

_AT_A_TIME: Final = 16
"""Blocks in memory."""

_BETWEEN: Final = """
select a.block, a.format, a.body from thespis.archive a where a.block >= $1 and a.block <= $2
   and ($3::text[] is null or a.types && $3) order by a.block limit $4"""
_BLOCKS: Final = """
select a.block, a.format, a.body from unnest($1::bigint[]) n cross join lateral (
  select * from thespis.archive o where o.block = n limit 1) a order by a.block"""
_PLACES: Final = """
select a.chunk, a.places from thespis.archive_streams a
 where a.tenant = $1 and a.stream = $2 and a.chunk >= $3 and a.chunk <= $4"""
_BODIES: Final = """
select b.sha256, b.data from unnest($1::bytea[]) n cross join lateral (
  select * from thespis.blobs o where o.sha256 = n limit 1) b"""
_LAST_BLOCK: Final = 2**62


async def between(
    connection: Connection, after: int, upto: int | None, types: Sequence[str] | None = None, limit: int | None = None
) -> list[Row]:
    """Archived events with `after` < position <= `upto`, ascending: their columns, and one more at the end."""
    found: list[Row] = []
    first, last = block_of(after + 1), _LAST_BLOCK if upto is None else block_of(upto)
    wanted = None if types is None else frozenset(types)
    while first <= last and (limit is None or len(found) < limit):
        blocks: list[Any] = await connection.fetch(_BETWEEN, first, last, types, _AT_A_TIME)
        for block, format, body in blocks:
            found += [
                row
                for row in unpack(block, format, body)
                if row[POSITION] > after
                and (upto is None or row[POSITION] <= upto)
                and (wanted is None or row[TYPE] in wanted)
            ]
            first = block + 1
        if len(blocks) < _AT_A_TIME:
            break
    return await _whole(connection, found if limit is None else found[:limit])


async def at(connection: Connection, positions: Collection[int]) -> list[Row]:
    """The archived ones of these positions, ascending."""
    wanted = frozenset(positions)
    blocks = sorted({block_of(position) for position in wanted})
    found: list[Row] = []
    for n in range(0, len(blocks), _AT_A_TIME):
        rows: list[Any] = await connection.fetch(_BLOCKS, blocks[n : n + _AT_A_TIME])
        for block, format, body in rows:
            found += [row for row in unpack(block, format, body) if row[POSITION] in wanted]
    return await _whole(connection, found)


async def versions(connection: Connection, tenant: str, stream: str, after: int, upto: int) -> dict[int, int]:
    """Version → position of the archived events of a stream with `after` < version <= `upto`."""
    rows: list[Any] = await connection.fetch(_PLACES, tenant, stream, (after + 1) // CHUNK, upto // CHUNK)
    return {
        version: position
        for chunk, packed in rows
        for version, position in placed(chunk, packed)
        if after < version <= upto
    }


async def _whole(connection: Connection, rows: Sequence[Row]) -> list[Row]:
    """The rows with their bodies, also those that are kept by their hash."""
    missing = {row[BLOB] for row in rows if row[BLOB] is not None}
    if not missing:
        return list(rows)
    bodies: dict[bytes, bytes] = dict(await _pairs(connection, sorted(missing)))
    return [(*row[:DATA], bodies.get(row[BLOB], row[DATA]), *row[DATA + 1 :]) for row in rows]


async def _pairs(connection: Connection, hashes: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return [tuple(row) for row in await connection.fetch(_BODIES, hashes)]
