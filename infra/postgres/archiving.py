"""Moving old events into the archive: a few blocks in a transaction, each moved whole or not at all.

No lock is held that an append could wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, Final

from infra.postgres.archive_block import (
    FORMAT,
    POSITION,
    SIZE,
    TYPE,
    Row,
    block_of,
    pack,
    places,
    unpack,
)
from infra.postgres.connection import Connection
from infra.postgres.pruning import Run

_BLOCKS: Final = 8
"""Blocks of one transaction."""
_LOCK: Final = "select pg_advisory_xact_lock(8390881627149364)"  # one that archives at a time

_NEXT: Final = "select position from thespis.events where position > $1 and position <= $2 order by position limit 1"

# A stream's newest event stays: appends, activations and forks look for the head of a stream in `events` alone.
_MOVABLE: Final = """
select e.position, e.tenant, e.stream, e.version, e.id, e.type, e.schema, e.data, e.causation, e.correlation, e.epoch,
       e.recorded_at, e.trace, e.meta, e.hash, e.blob
  from thespis.events e
 where e.position > $1 and e.position <= $2 and not (e.stream >= 'es/' and e.stream < 'es0')
   and exists (select from thespis.events n
                where n.tenant = e.tenant and n.stream = e.stream and n.version > e.version)
 order by e.position"""
_PACKED: Final = "select block, format, body from thespis.archive where block = any($1::bigint[])"
_PUT: Final = """
insert into thespis.archive (block, format, events, last, types, body) values ($1, $2, $3, $4, $5, $6)
    on conflict (block) do update
   set format = excluded.format, events = excluded.events, last = excluded.last, types = excluded.types,
       body = excluded.body"""
_PLACES: Final = """
insert into thespis.archive_streams as a (tenant, stream, chunk, places)
select * from unnest($1::text[], $2::text[], $3::int[], $4::bytea[])
    on conflict (tenant, stream, chunk) do update set places = a.places || excluded.places"""
# Marked before, and for good: an append that brings such a body again must not wait for the move.
_BODIES: Final = """
update thespis.blobs b set archived = true
 where not b.archived and b.sha256 = any(array(
   select e.blob from thespis.events e where e.position > $1 and e.position <= $2 and e.blob is not null))"""
_DELETE: Final = "delete from thespis.events where position = any($1::bigint[])"


async def archive(run: Run, upto: int, fewest: int, moved: Callable[[int], None] | None) -> int:
    """See `EventStore.archive`."""
    total = after = 0
    while (first := await run(partial(_next, after, upto))) is not None:
        start = block_of(first) * SIZE
        after = min(start + _BLOCKS * SIZE, upto)
        count = await run(partial(_move, start, after, fewest))
        total += count
        if moved is not None and count:
            moved(count)
    return total


async def _next(after: int, upto: int, connection: Connection) -> int | None:
    return await connection.fetchval(_NEXT, after, upto)


async def _move(after: int, upto: int, fewest: int, connection: Connection) -> int:
    """One transaction: what can go of these positions."""
    await connection.execute(_BODIES, after, upto)
    async with connection.transaction():
        await connection.execute(_LOCK)
        found: dict[int, list[Row]] = {}
        for row in map(tuple, await connection.fetch(_MOVABLE, after, upto)):
            found.setdefault(block_of(row[POSITION]), []).append(row)
        rows: list[Any] = await connection.fetch(_PACKED, list(found))
        packed = {block: (format, body) for block, format, body in rows}
        going = {block: rows for block, rows in found.items() if block not in packed or len(rows) >= fewest}
        if not going:
            return 0
        for block, held, body in await asyncio.to_thread(_pack, going, packed):
            await connection.execute(_PUT, block, FORMAT, len(held), held[-1][POSITION], _types(held), body)
        gone = [row for held in going.values() for row in held]
        known = places(gone)
        await connection.execute(_PLACES, *zip(*((*key, value) for key, value in known.items()), strict=True))
        await connection.execute(_DELETE, [row[POSITION] for row in gone])
        return len(gone)


def _pack(
    going: Mapping[int, list[Row]], packed: Mapping[int, tuple[int, bytes]]
) -> list[tuple[int, Sequence[Row], bytes]]:
    blocks: list[tuple[int, Sequence[Row], bytes]] = []
    for block, rows in going.items():
        if block in packed:
            rows = sorted(rows + unpack(block, *packed[block]), key=itemgetter(POSITION))
        blocks.append((block, rows, pack(rows)))
    return blocks


def _types(rows: Sequence[Row]) -> list[str]:
    return sorted({row[TYPE] for row in rows})
