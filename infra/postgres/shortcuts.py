"""Snapshots and state hashes: disposable, written off the hot path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from events.store import Snapshot, StateHash
from infra.postgres.connection import Connection

# Rows are written in key order, so that two hosts saving the same streams wait for, not lock out, each other.
_SAVE = """
insert into thespis.snapshots as s (tenant, stream, version, fold, state)
select * from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::bytea[])
    on conflict (tenant, stream) do update
       set version = excluded.version, fold = excluded.fold, state = excluded.state
     where excluded.version >= s.version"""
_SAVE_HASHES = """
insert into thespis.state_hashes (tenant, stream, version, hash, fold)
select * from unnest($1::text[], $2::text[], $3::int[], $4::bytea[], $5::text[]) on conflict do nothing"""
_HASHES = """
select tenant, stream, version, hash, fold from thespis.state_hashes
 where tenant = $1 and stream = $2 order by version"""


async def save_snapshots(connection: Connection, snapshots: Sequence[Snapshot]) -> None:
    """Keep the newest snapshot of each stream."""
    newest: dict[tuple[str, str], Snapshot] = {}
    for s in snapshots:
        old = newest.get((s.tenant, s.stream))
        if old is None or s.version >= old.version:
            newest[s.tenant, s.stream] = s
    rows = [(s.tenant, s.stream, s.version, s.fold, s.state) for _, s in sorted(newest.items())]
    if rows:
        await connection.execute(_SAVE, *zip(*rows, strict=True))


async def save_state_hashes(connection: Connection, hashes: Sequence[StateHash]) -> None:
    """Remember states; the first hash of a version stays."""
    rows = sorted((h.tenant, h.stream, h.version, h.hash, h.fold) for h in hashes)
    if rows:
        await connection.execute(_SAVE_HASHES, *zip(*rows, strict=True))


async def state_hashes(connection: Connection, tenant: str, stream: str) -> list[StateHash]:
    """Remembered states of one stream."""
    rows: list[Any] = await connection.fetch(_HASHES, tenant, stream)
    return [StateHash(*row) for row in rows]
