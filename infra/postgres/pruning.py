"""Forgetting what is no longer needed: in small transactions, none of which holds the lock of the log for long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from events.errors import InvalidData
from events.store import Pruned
from infra.postgres.connection import Connection

T = TypeVar("T")

FEWEST_HASHES: Final = 3
_STREAMS: Final = 200
_ROWS: Final = 2000
_BLOBS: Final = 100
"""Streams looked at, rows taken, and bodies dropped in one transaction, at most."""

_HORIZON: Final = """
insert into thespis.horizon as h (messages) values ($1)
    on conflict (one) do update set messages = greatest(h.messages, excluded.messages)"""
_NEXT: Final = """
with recursive s as (
  (select m.tenant, m.stream, 1 as n from thespis.{table} m
    where {live} and (m.tenant, m.stream) > ($1, $2) order by m.tenant, m.stream limit 1)
  union all
  select t.tenant, t.stream, s.n + 1 from s, lateral (
    select m.tenant, m.stream from thespis.{table} m
     where {live} and (m.tenant, m.stream) > (s.tenant, s.stream) order by m.tenant, m.stream limit 1) t
   where s.n < $3)"""

# In each stream from the front, so that what is left has no gap however often this is cut off; where the front is young
# nothing else is looked at.
_MESSAGES: Final = f"""
{_NEXT.format(table="messages", live="m.outcome <> 'expired'")}, due as (
  select d.id, d.guarded from s
   cross join lateral (
    select o.recorded_at from thespis.messages o
     where o.tenant = s.tenant and o.stream = s.stream and o.outcome <> 'expired' order by o.version limit 1) front
   cross join lateral (
    select m.id, m.guarded from (
      select o.id, o.guarded, o.recorded_at from thespis.messages o
       where o.tenant = s.tenant and o.stream = s.stream and o.outcome <> 'expired' and front.recorded_at < $4
       order by o.version limit $5) m
     where m.recorded_at < $4) d
   limit $5),
deleted as (
  delete from thespis.messages m using due d where m.id = d.id and d.guarded returning 1),
expired as (
  update thespis.messages m
     set outcome = 'expired', digest = '', type = '', data = null, blob = null, sender = '', causation = '',
         correlation = '', answer = null
    from due d where m.id = d.id and not d.guarded returning 1)
select (select count(*) from deleted), (select count(*) from expired), s.tenant, s.stream, s.n
  from s order by s.n desc limit 1"""

_UNUSED: Final = """
select b.sha256, not b.archived and not b.kept and not exists (select from thespis.events e where e.blob = b.sha256)
       and not exists (select from thespis.messages m where m.blob = b.sha256)
       and not exists (select from thespis.mailbox m where m.blob = b.sha256)
  from thespis.blobs b where b.sha256 > $1 order by b.sha256 limit $2"""
_DROP: Final = "select thespis.drop_blobs($1)"

_STRIKES: Final = """
with over as (
  select s.tenant, s.stream, s.message from thespis.strikes s
   where case when s.message ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
              then exists (select from thespis.messages m where m.id = s.message::uuid) else false end
      or s.at < $1 and not exists (
        select from thespis.mailbox m
         where m.tenant = s.tenant and m.stream = s.stream and m.id::text = s.message)
   limit $2),
gone as (
  delete from thespis.strikes s using over o
   where s.tenant = o.tenant and s.stream = o.stream and s.message = o.message returning 1)
select count(*) from gone"""

# The first, the newest, and every k-th between: as many as fit.
_HASHES: Final = f"""
{_NEXT.format(table="state_hashes", live="true")}, numbered as (
  select s.tenant, s.stream, h.version, h.n, h.total from s cross join lateral (
    select o.version, row_number() over (order by o.version) as n, count(*) over () as total
      from thespis.state_hashes o where o.tenant = s.tenant and o.stream = s.stream) h
   where exists (select from thespis.state_hashes o where o.tenant = s.tenant and o.stream = s.stream
                  order by o.version offset $4 limit 1)),
gone as (
  delete from thespis.state_hashes h using numbered x
   where h.tenant = x.tenant and h.stream = x.stream and h.version = x.version
     and x.n > 1 and x.n < x.total and x.n % ((x.total + $4 - 3) / ($4 - 2)) <> 0
  returning 1)
select (select count(*) from gone), s.tenant, s.stream, s.n from s order by s.n desc limit 1"""


class Run(Protocol):
    """How the store lends a connection for one transaction."""

    async def __call__(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Returns what `work` returns."""
        ...


async def prune(run: Run, before: int, hashes: int) -> Pruned:
    """See `EventStore.prune`. Every statement is a transaction, and a connection is borrowed for one at a time."""
    if hashes < FEWEST_HASHES:
        raise InvalidData(f"{hashes} state hashes of a stream are too few", hint=f"keep at least {FEWEST_HASHES}")
    await run(partial(_row, _HORIZON, (before,)))
    deleted, expired = await _messages(run, before)
    blobs = await _blobs(run)
    strikes = 0
    while some := (await run(partial(_row, _STRIKES, (before, _ROWS))))[0]:
        strikes += some
    return Pruned(deleted, expired, blobs, strikes, await _hashes(run, hashes))


async def _messages(run: Run, before: int) -> tuple[int, int]:
    deleted = expired = 0
    place = ("", "")
    while row := await run(partial(_row, _MESSAGES, (*place, _STREAMS, before, _ROWS))):
        deleted += row[0]
        expired += row[1]
        if row[0] + row[1] == _ROWS:
            continue  # there may be more of the same streams
        place = (row[2], row[3])
        if row[4] < _STREAMS:
            break
    return deleted, expired


async def _blobs(run: Run) -> int:
    dropped = 0
    place = b""
    while rows := await run(partial(_rows, _UNUSED, (place, _BLOBS))):
        place = rows[-1][0]
        if unused := [sha256 for sha256, free in rows if free]:
            dropped += (await run(partial(_row, _DROP, (unused,))))[0]
        if len(rows) < _BLOBS:
            break
    return dropped


async def _hashes(run: Run, keep: int) -> int:
    gone = 0
    place = ("", "")
    while row := await run(partial(_row, _HASHES, (*place, _STREAMS, keep))):
        gone += row[0]
        place = (row[1], row[2])
        if row[3] < _STREAMS:
            break
    return gone


async def _row(sql: str, values: Sequence[Any], connection: Connection) -> Any:
    return await connection.fetchrow(sql, *values)


async def _rows(sql: str, values: Sequence[Any], connection: Connection) -> Any:
    return await connection.fetch(sql, *values)
