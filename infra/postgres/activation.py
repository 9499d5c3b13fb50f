"""What activations need, many streams in one query: the newest matching snapshot, the events after it, the head."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any, Final

from events.chain import GENESIS
from events.store import Loaded, Snapshot
from infra.postgres import reading
from infra.postgres.connection import Connection

_SEPARATOR: Final = "\x1f"

# One row per stream. Types come as one text and schema versions as one range: cheaper for both sides than arrays.
_LOAD: Final = """
select s.version, s.state, h.version, h.hash, t.types, t.lowest, t.highest, t.datas
  from unnest($1::text[], $2::text[], $3::text[]) with ordinality k(tenant, stream, fold, n)
  left join thespis.snapshots s on s.tenant = k.tenant and s.stream = k.stream and s.fold = k.fold
  left join lateral (
    select string_agg(x.type, e'\\x1f') as types, min(x.schema) as lowest, max(x.schema) as highest,
           array_agg(x.data) as datas, max(x.version) as last from (
      select e.type, e.schema, e.data, e.version from thespis.events e
       where e.tenant = k.tenant and e.stream = k.stream and e.version > coalesce(s.version, 0)
       order by e.version) x) t on true
  left join thespis.events h
         on h.tenant = k.tenant and h.stream = k.stream and h.version = coalesce(t.last, s.version)
 order by k.n"""


async def load(connection: Connection, keys: Sequence[tuple[str, str, str]]) -> list[Loaded]:
    """One `Loaded` for each (tenant, stream, fold), in that order."""
    rows: list[Any] = await connection.fetch(_LOAD, *zip(*keys, strict=True)) if keys else []
    loaded: list[Loaded] = []
    for (tenant, stream, fold), row in zip(keys, rows, strict=True):
        at, state, version, hash, types, lowest, highest, datas = row
        if version is None:
            loaded.append(Loaded(0, GENESIS, None, ()))
            continue
        snapshot = None if state is None else Snapshot(tenant, stream, at, fold, state)
        begin = at or 0
        names = () if types is None else types.split(_SEPARATOR)
        datas = datas or ()
        if len(names) != version - begin or lowest != highest or None in datas or len(names) != len(datas):
            # A fork's prefix, archived events, several schema versions, or bodies in the table of blobs: the long way.
            events = await reading.stream(connection, tenant, stream, begin, version, None)
            tail = [(e.version, e.type, e.schema, e.data) for e in events]
        else:
            tail = list(zip(range(begin + 1, version + 1), names, repeat(lowest), datas, strict=False))
        loaded.append(Loaded(version, hash, snapshot, tail))
    return loaded
