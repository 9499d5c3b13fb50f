"""Every read of the log's events is here: those in `events`, and where some are missing those in the archive.

Positions and versions have no gaps, so what was archived shows as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Any, Final

from events.envelope import Event
from events.store import HandledMessage
from infra.postgres import archived
from infra.postgres.archive_block import POSITION, VERSION, Row
from infra.postgres.connection import Connection

_COLUMNS: Final = """e.position, e.tenant, e.stream, e.version, e.id, e.type, e.schema,
 coalesce(e.data, (select b.data from thespis.blobs b where b.sha256 = e.blob)),
 e.causation, e.correlation, e.epoch, e.recorded_at, e.trace, e.meta, e.hash"""

_HEAD = "select position from thespis.events order by position desc limit 1"
_PAGE = f"select {_COLUMNS} from thespis.events e where e.position > $1 order by e.position limit $2"
_PAGE_OF = (
    f"select {_COLUMNS} from thespis.events e where e.position > $1 and e.type = any($3::text[])"
    " order by e.position limit $2"
)
_STREAM = (
    f"select {_COLUMNS} from thespis.events e where e.tenant = $1 and e.stream = $2 and e.version > $3"
    " and e.version <= $4 order by e.version limit $5"
)
_FORK = "select source, version from thespis.forks where tenant = $1 and stream = $2"
_LAST = 2**31 - 1

# One probe of the index per stream, however long the streams are.
_STREAMS = """
with recursive s as (
  (select e.tenant, e.stream, 1 as n from thespis.events e where {beyond_last} order by e.tenant, e.stream limit 1)
  union all
  select t.tenant, t.stream, s.n + 1 from s, lateral (
    select e.tenant, e.stream from thespis.events e where {beyond} order by e.tenant, e.stream limit 1) t
   where s.n < $3)
select s.tenant, s.stream, h.version from s, lateral (
  select e.version from thespis.events e where e.tenant = s.tenant and e.stream = s.stream
   order by e.version desc limit 1) h
 order by s.tenant, s.stream"""
_STREAMS_OF_ALL = _STREAMS.format(
    beyond_last="(e.tenant, e.stream) > ($1, $2)", beyond="(e.tenant, e.stream) > (s.tenant, s.stream)"
)
_STREAMS_OF_ONE = _STREAMS.format(
    beyond_last="e.tenant = $1 and e.stream > $2", beyond="e.tenant = s.tenant and e.stream > s.stream"
)

_ORDER = "m.version, m.position, m.recorded_at, m.ordinal"
_MESSAGES = f"""
select m.tenant, m.stream, m.id::text, m.type, m.schema,
       coalesce(m.data, (select b.data from thespis.blobs b where b.sha256 = m.blob)), m.sender, m.time, m.causation,
       m.correlation, m.outcome, m.answer, m.version, m.position, m.told
  from (select * from thespis.messages where tenant = $1 and stream = $2 and version > $3 and outcome <> 'expired'
         order by version fetch first $4 rows with ties) m
 order by {_ORDER}"""


async def head(connection: Connection) -> int:
    """The last position."""
    return await connection.fetchval(_HEAD) or 0


async def page(connection: Connection, after: int, limit: int, types: Sequence[str] | None) -> list[Event]:
    """The next events of the log."""
    after = max(after, 0)
    if types is not None:
        return await _page_of(connection, after, limit, types)
    rows: list[Any] = await connection.fetch(_PAGE, after, limit)
    if not rows or rows[-1][0] == after + len(rows):
        return list(starmap(Event, rows))
    # The newest event of all is in `events`, so whatever lies before the last row here is there or in the archive.
    upto = min(after + limit, rows[-1][0])
    return _merged(rows, await archived.between(connection, after, upto), POSITION, upto)


async def _page_of(connection: Connection, after: int, limit: int, types: Sequence[str]) -> list[Event]:
    rows: list[Any] = await connection.fetch(_PAGE_OF, after, limit, types)
    upto = rows[-1][0] if len(rows) == limit else None
    old = await archived.between(connection, after, upto, types, limit)
    return _merged(rows, old, POSITION)[:limit]


def _merged(rows: Sequence[Any], old: Sequence[Row], by: int, upto: int | None = None) -> list[Event]:
    """Events of both, in order; one that was moved meanwhile is in both."""
    if not old and upto is None:
        return list(starmap(Event, rows))
    both: dict[int, Any] = {row[by]: row[:15] for row in old} | {row[by]: row for row in rows}
    return [Event(*both[n]) for n in sorted(both) if upto is None or n <= upto]


async def stream(
    connection: Connection, tenant: str, name: str, after: int, upto: int | None, limit: int | None
) -> list[Event]:
    """Events of one stream, those of a fork's source before its own."""
    last = _LAST if upto is None else upto
    rows: Any = await connection.fetch(_STREAM, tenant, name, after, last, limit)
    own = list(starmap(Event, rows))
    if after >= last or (own and own[0].version == after + 1 and own[-1].version == after + len(own)):
        return own
    places = await archived.versions(connection, tenant, name, after, last)
    if places:
        known = {event.version for event in own}
        wanted = sorted(known | places.keys())[:limit]
        old = await archived.at(connection, {places[n] for n in wanted if n not in known})
        own = _merged([row for row in rows if row[VERSION] <= wanted[-1]], old, VERSION)
    first = own[0].version if own else last + 1
    if first == after + 1 or first == 1:
        return own
    fork = await connection.fetchrow(_FORK, tenant, name)
    if fork is None or fork[1] <= after:
        return own
    prefix = await stream(connection, tenant, fork[0], after, min(fork[1], last), limit)
    return (prefix + own)[:limit]


async def streams_page(connection: Connection, after: tuple[str, str], one_tenant: bool, limit: int) -> list[Any]:
    """The next streams, of that tenant or of all, with their versions."""
    return await connection.fetch(_STREAMS_OF_ONE if one_tenant else _STREAMS_OF_ALL, *after, limit)


async def messages(connection: Connection, tenant: str, name: str, after: int, limit: int) -> list[HandledMessage]:
    """The message log of one stream. Rows of the last version are all there, even beyond `limit`."""
    rows: Any = await connection.fetch(_MESSAGES, tenant, name, after, limit)
    return list(starmap(HandledMessage, rows))
