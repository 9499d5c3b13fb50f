"""How much there is: exact where that is cheap, else as the server's statistics have it."""

from __future__ import annotations

from typing import Any, Final

from events.store import Figures
from infra.postgres import reading
from infra.postgres.connection import Connection

_ARCHIVED: Final = "select coalesce(sum(events), 0)::bigint, coalesce(max(last), 0) from thespis.archive"
_HORIZON: Final = "select coalesce(max(messages), 0) from thespis.horizon"
_TABLES: Final = """
select c.relname, greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid)
  from pg_class c where c.relnamespace = 'thespis'::regnamespace and c.relkind = 'r'
   and c.relname in ('events', 'archive', 'archive_streams', 'blobs', 'messages', 'mailbox', 'effects', 'timers',
                     'snapshots', 'state_hashes', 'strikes', 'epochs')
 order by c.relname"""


async def figures(connection: Connection) -> Figures:
    """See `EventStore.figures`."""
    archived, upto = await connection.fetchrow(_ARCHIVED)
    head = await reading.head(connection)
    tables: list[Any] = await connection.fetch(_TABLES)
    rows = {name: count for name, count, _ in tables} | {"events": head - archived}
    return Figures(
        head, archived, upto, await connection.fetchval(_HORIZON), rows, {name: size for name, _, size in tables}
    )
