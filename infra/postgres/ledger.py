"""Reads of what waits: tells, effects, timers; and the answers of the inbox."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Any, Final

from events.envelope import Answer
from events.store import Effect, Mail, MailKey, Timer
from infra.postgres.connection import Connection

_MAIL: Final = """m.partition, m.tenant, m.stream, m.ordinal, m.id::text, m.type, m.schema,
 coalesce(m.data, (select b.data from thespis.blobs b where b.sha256 = m.blob)),
 m.sender, m.time, m.causation, m.correlation, m.trace, m.meta, m.position"""

_WAITING = f"""
select h.position as head, m.* from (
  select coalesce((select position from thespis.events order by position desc limit 1), 0) as position) h
  left join (
    select {_MAIL} from unnest($1::int[]) p cross join lateral (
      select * from thespis.mailbox b where b.partition = p and b.position > $2
       order by b.position, b.ordinal limit $3) m
     order by m.position, m.ordinal limit $3) m on true
 order by m.position, m.ordinal"""
_WAITING_OF = f"""
select {_MAIL} from thespis.mailbox m
 where m.tenant = $1 and m.stream = $2 and (m.position, m.ordinal) > ($3, $4)
 order by m.position, m.ordinal limit $5"""
_EFFECT: Final = """e.id, e.tenant, e.stream, e.partition, e.kind, e.effect_class, e.key, e.data, e.time, e.causation,
 e.correlation, e.trace, e.status, e.attempt, e.outcome, e.delivered"""
_OPEN = f"""
select {_EFFECT} from unnest($1::int[]) p cross join lateral (
  select * from thespis.effects f where f.partition = p and not f.delivered and f.id > $2 order by f.id limit $3) e
 order by e.id limit $3"""
_ONE_EFFECT = f"select {_EFFECT} from thespis.effects e where e.id = $1"
_TIMER = "t.tenant, t.stream, t.partition, t.name, t.id, t.due, t.type, t.schema, t.data, t.causation, t.correlation"
_DUE = f"""
select {_TIMER} from unnest($1::int[]) p cross join lateral (
  select * from thespis.timers d
   where d.partition = p and d.due <= $2 and d.due >= $4 and (d.due, d.tenant, d.stream, d.name) > ($4, $5, $6, $7)
   order by d.due, d.tenant, d.stream, d.name limit $3) t
 order by t.due, t.tenant, t.stream, t.name limit $3"""
FIRST: Final = (-(1 << 63), "", "", "")
"""Before every timer."""
_TIMERS_OF = f"select {_TIMER} from thespis.timers t where t.tenant = $1 and t.stream = $2 order by t.name"
_ANSWERS = """
select m.id::text, m.digest, m.outcome, m.position, m.version, m.answer
  from unnest($1::uuid[]) i cross join lateral (select * from thespis.messages o where o.id = i limit 1) m"""


async def mail(connection: Connection, partitions: Sequence[int], after: int, limit: int) -> tuple[list[Mail], int]:
    """Waiting tells of the partitions, and the head of the log, in one snapshot."""
    rows: list[Any] = await connection.fetch(_WAITING, partitions, after, limit)
    head: int = rows[0][0]
    if rows[0][1] is None:
        return [], head
    return [Mail(*row[1:]) for row in map(tuple, rows)], head


async def mail_of(connection: Connection, tenant: str, stream: str, after: MailKey | None, limit: int) -> list[Mail]:
    """Waiting tells of one actor."""
    place = (after.position, after.ordinal) if after else (-1, -1)
    rows: Any = await connection.fetch(_WAITING_OF, tenant, stream, *place, limit)
    return list(starmap(Mail, rows))


async def effects(connection: Connection, partitions: Sequence[int], after: str, limit: int) -> list[Effect]:
    """Effects not yet delivered."""
    rows: Any = await connection.fetch(_OPEN, partitions, after, limit)
    return list(starmap(Effect, rows))


async def effect(connection: Connection, id: str) -> Effect | None:
    """One row of the effect ledger."""
    row: Any = await connection.fetchrow(_ONE_EFFECT, id)
    return None if row is None else Effect(*row)


async def timers(
    connection: Connection,
    partitions: Sequence[int],
    until: int,
    limit: int,
    after: tuple[int, str, str, str] | None = None,
) -> list[Timer]:
    """Timers that are due."""
    rows: Any = await connection.fetch(_DUE, partitions, until, limit, *(after or FIRST))
    return list(starmap(Timer, rows))


async def timers_of(connection: Connection, tenant: str, stream: str) -> list[Timer]:
    """Timers of one actor."""
    rows: Any = await connection.fetch(_TIMERS_OF, tenant, stream)
    return list(starmap(Timer, rows))


async def answers(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[bytes, Answer]]:
    """Digests and first answers of the messages that were handled."""
    rows: Any = await connection.fetch(_ANSWERS, ids)
    return {id: (digest, Answer(*rest, duplicate=True)) for id, digest, *rest in rows}
