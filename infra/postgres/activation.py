"""What activations need, many streams in one query: the newest matching snapshot, the events after it, the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from events.chain import GENESIS
from events.store import Loaded, Snapshot
from infra.postgres import reading
from infra.postgres.connection import Connection

_LOAD: Final = """
select s.version, s.state, h.version, h.hash, t.types, t.schemas, t.datas, f.source, f.version
  from unnest($1::text[], $2::text[], $3::text[]) with ordinality k(tenant, stream, fold, n)
  left join thespis.snapshots s on s.tenant = k.tenant and s.stream = k.stream and s.fold = k.fold
  left join lateral (
    select e.version, e.hash from thespis.events e where e.tenant = k.tenant and e.stream = k.stream
     order by e.version desc limit 1) h on true
  left join lateral (
    select array_agg(x.type) as types, array_agg(x.schema) as schemas, array_agg(x.data) as datas from (
      select e.type, e.schema, e.data from thespis.events e
       where e.tenant = k.tenant and e.stream = k.stream and e.version > coalesce(s.version, 0)
       order by e.version) x) t on true
  left join thespis.forks f on f.tenant = k.tenant and f.stream = k.stream
 order by k.n"""


async def load(connection: Connection, keys: Sequence[tuple[str, str, str]]) -> list[Loaded]:
    """One `Loaded` for each (tenant, stream, fold), in that order."""
    loaded: list[Loaded] = []
    rows: list[Any] = await connection.fetch(_LOAD, *zip(*keys, strict=True)) if keys else []
    for (tenant, stream, fold), row in zip(keys, rows, strict=True):
        at, state, version, hash, *columns, source, fork = row
        if version is None:
            loaded.append(Loaded(0, GENESIS, None, ()))
            continue
        snapshot = None if state is None else Snapshot(tenant, stream, at, fold, state)
        begin = at or 0
        events: list[tuple[int, str, int, bytes]] = []
        types, schemas, datas = columns if columns[0] is not None else ((), (), ())
        if None in datas:  # some are in the table of blobs: the long way round
            whole = await reading.stream(connection, tenant, stream, begin, version, None)
            events = [(e.version, e.type, e.schema, e.data) for e in whole]
        else:
            if source is not None and fork > begin:
                prefix = await reading.stream(connection, tenant, source, begin, fork, None)
                events = [(e.version, e.type, e.schema, e.data) for e in prefix]
                begin = fork
            events += zip(range(begin + 1, version + 1), types, schemas, datas, strict=True)
        loaded.append(Loaded(version, hash, snapshot, events))
    return loaded
