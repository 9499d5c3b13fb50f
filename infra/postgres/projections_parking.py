"""Parked keys of projections, and the events they hold."""

from __future__ import annotations

import time
from typing import Final

from infra.postgres.connection import Connection
from projections.core.port import Build, Commit, Decision, ParkedKey

_PARK: Final = """
insert into thespis.projection_parked (projection, number, key, position, error, since)
select $1, $2, u.key, u.position, u.error, $6 from unnest($3::text[], $4::bigint[], $5::text[]) u(key, position, error)
on conflict (projection, number, key) do update set position = excluded.position, error = excluded.error"""
_HOLD: Final = """
insert into thespis.projection_held (projection, number, key, position)
select $1, $2, u.key, u.position from unnest($3::text[], $4::bigint[]) u(key, position)"""
_RELEASE: Final = """
delete from thespis.projection_held h using unnest($3::text[], $4::bigint[]) u(key, position)
 where h.projection = $1 and h.number = $2 and h.key = u.key and h.position = u.position"""
_FREE: Final = """
delete from thespis.projection_parked p where p.projection = $1 and p.number = $2 and p.key = any($3::text[])
   and not exists (select from thespis.projection_held h
                    where h.projection = $1 and h.number = $2 and h.key = p.key)"""
_DECIDED: Final = """
insert into thespis.projection_decisions (projection, number, key, action, by, reason, events, at)
values ($1, $2, $3, $4, $5, $6, $7, $8)"""
_PARKED: Final = """
select p.projection, p.number, p.key, p.position, p.error,
       (select count(*) from thespis.projection_held h
         where h.projection = p.projection and h.number = p.number and h.key = p.key),
       p.since
  from thespis.projection_parked p where p.projection = $1 and p.number = $2 order by p.key"""
_HELD: Final = """
select position from thespis.projection_held
 where projection = $1 and number = $2 and key = $3 order by position limit $4"""
_DECISIONS: Final = """
select at, key, action, by, reason, events from thespis.projection_decisions
 where projection = $1 order by id desc limit $2"""


def concerns(commit: Commit) -> bool:
    """Whether a commit changes anything about parked keys."""
    return bool(commit.poisoned or commit.held or commit.released or commit.decision)


async def write(connection: Connection, build: Build, commit: Commit) -> int:
    """Do a commit's part inside the open transaction; returns by how many the parked keys changed."""
    if not concerns(commit):
        return 0
    place = (build.projection, build.number)
    now = time.time_ns() // 1000
    if commit.poisoned:
        keys, positions, errors = zip(*((p.key, p.position, p.error) for p in commit.poisoned), strict=True)
        await connection.execute(_PARK, *place, keys, positions, errors, now)
    for sql, items in ((_HOLD, commit.held), (_RELEASE, commit.released)):
        if items:
            await connection.execute(sql, *place, [i.key for i in items], [i.position for i in items])
    if commit.released:
        await connection.execute(_FREE, *place, list({i.key for i in commit.released}))
    if commit.decision is not None:
        d = commit.decision
        await connection.execute(_DECIDED, *place, d.key, d.action, d.by, d.reason, d.events, now)
    count: int = await connection.fetchval(
        "select count(*) from thespis.projection_parked where projection = $1 and number = $2", *place
    )
    return count - build.parked


async def parked(connection: Connection, build: Build) -> list[ParkedKey]:
    """A build's parked keys, by key."""
    return [ParkedKey(*row) for row in await connection.fetch(_PARKED, build.projection, build.number)]


async def held(connection: Connection, build: Build, key: str, limit: int) -> list[int]:
    """The first positions that wait for a key."""
    rows = await connection.fetch(_HELD, build.projection, build.number, key, limit)
    return [row[0] for row in rows]


async def decisions(connection: Connection, projection: str, limit: int) -> list[tuple[int, Decision]]:
    """What was decided, newest first."""
    rows = await connection.fetch(_DECISIONS, projection, limit)
    return [(row[0], Decision(*row[1:])) for row in rows]
