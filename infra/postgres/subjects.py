"""Keys of data subjects and erasures in Postgres: the adapter of `infra.vault.keys.KeyStore`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Any, Final

from infra.postgres import archived
from infra.postgres.archive_block import DATA
from infra.postgres.connection import Connection, Links
from infra.postgres.scrubbing import scrub
from infra.vault.keys import Count, Erasure, KeyRow

_KEY: Final = "id, tenant, subject, wrapped, master, created_at"
_KEYS = f"select {_KEY} from thespis.subject_keys where id = any($1::text[])"
_NEW_KEYS = f"""
insert into thespis.subject_keys ({_KEY})
select * from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::bigint[])
 order by 2, 3 on conflict (tenant, subject) do nothing"""
_KEYS_OF = f"""
select {", ".join(f"k.{name}" for name in _KEY.split(", "))} from unnest($1::text[], $2::text[]) n(tenant, subject)
  join thespis.subject_keys k on k.tenant = n.tenant and k.subject = n.subject for share of k"""
_NEW_USES = """
insert into thespis.subject_streams (key, tenant, stream)
select distinct k.id, n.tenant, n.stream from unnest($1::text[], $2::text[], $3::text[]) n(tenant, subject, stream)
  join thespis.subject_keys k on k.tenant = n.tenant and k.subject = n.subject
 order by 1, 3 on conflict do nothing"""
_MASTERS = "select distinct master from thespis.subject_keys"
_SUBJECTS = f"""
select {_KEY} from thespis.subject_keys where tenant = $1 and subject > $2 order by subject limit $3"""
_FIND = f"select {_KEY} from thespis.subject_keys where tenant = $1 and subject = $2"
# A fork is read through its source, and may be forked again.
_STREAMS: Final = """
with recursive used as (
  select s.tenant, s.stream from thespis.subject_streams s where s.key = any({keys})
  union
  select f.tenant, f.stream from used u join thespis.forks f on f.tenant = u.tenant and f.source = u.stream)
select {columns} from used"""
_STREAMS_OF = f"{_STREAMS.format(keys='$1::text[]', columns='stream')} order by stream"
_COUNT: Final = """
select count(*) from thespis.{table} r
 where r.tenant = $1 and r.stream = any($2::text[]) and exists (
   select from unnest($3::text[]) k where position(convert_to(k, 'UTF8') in {data}) > 0)"""
_BODY: Final = "coalesce(r.data, (select b.data from thespis.blobs b where b.sha256 = r.blob))"
_COUNTS: Final = (
    _COUNT.format(table="events", data=_BODY),
    _COUNT.format(table="messages", data=f"({_BODY} || coalesce(r.answer, ''))"),
    _COUNT.format(table="mailbox", data=_BODY),
    _COUNT.format(table="timers", data="r.data"),
    _COUNT.format(table="effects", data="(r.data || coalesce(r.outcome, ''))"),
)
_BLANK: Final = (
    "update thespis.projection_decisions set key = '', reason = '' where projection = any($1::text[])",
    "update thespis.projection_builds set note = '' where projection = any($1::text[]) and note <> ''",
    """update thespis.projection_switches
          set comparison = convert_to(
                (convert_from(comparison, 'UTF8')::jsonb || '{"examples": [], "parks": []}')::text, 'UTF8')
        where projection = any($1::text[])""",
)
_NOTE = """
insert into thespis.erasures (id, tenant, keys, by, reason, at) values ($1, $2, $3, $4, $5, $6)
    on conflict (id) do nothing"""
_FORGET = "delete from thespis.subject_keys where id = any($1::text[])"
_ERASURES = f"""
select e.number, e.id, e.tenant, e.keys, e.by, e.reason, e.at, e.receipt is not null,
       array({_STREAMS.format(keys="e.keys", columns="stream")} order by stream)
  from thespis.erasures e where {{where}} order by e.number"""
_LAST: Final = 2**31 - 1
_AT_A_TIME: Final = 2_000
"""Archived events in memory."""
_FINISH = "update thespis.erasures set receipt = $2 where number = $1 and receipt is null"


class PostgresKeys:
    """A `KeyStore` on a few connections, to a database that has migration 0005.

    Every method may be repeated after a connection was lost: it comes to the same.
    """

    def __init__(self, links: Links) -> None:
        self._links = links

    async def keys(self, ids: Sequence[str]) -> list[KeyRow]:
        """See `KeyStore.keys`."""
        rows: Any = await self._links.run(lambda c: c.fetch(_KEYS, list(ids)))
        return list(starmap(KeyRow, rows))

    async def ensure(self, fresh: Sequence[KeyRow], uses: Sequence[tuple[str, str, str]]) -> list[KeyRow]:
        """See `KeyStore.ensure`. The rows are locked until the uses are there, so that an erasure sees them."""
        new = list(zip(*((k.id, k.tenant, k.subject, k.wrapped, k.master, k.created_at) for k in fresh), strict=True))
        used = list(zip(*uses, strict=True)) or [(), (), ()]

        async def work(connection: Connection) -> Any:
            async with connection.transaction():
                await connection.execute(_NEW_KEYS, *map(list, new))
                rows = await connection.fetch(_KEYS_OF, list(new[1]), list(new[2]))
                await connection.execute(_NEW_USES, *map(list, used))
            return rows

        return list(starmap(KeyRow, await self._links.run(work))) if fresh else []

    async def masters(self) -> set[str]:
        """See `KeyStore.masters`."""
        rows: Any = await self._links.run(lambda c: c.fetch(_MASTERS))
        return {row[0] for row in rows}

    async def subjects(self, tenant: str, after: str, limit: int) -> list[KeyRow]:
        """See `KeyStore.subjects`."""
        rows: Any = await self._links.run(lambda c: c.fetch(_SUBJECTS, tenant, after, limit))
        return list(starmap(KeyRow, rows))

    async def find(self, tenant: str, subject: str) -> KeyRow | None:
        """See `KeyStore.find`."""
        row: Any = await self._links.run(lambda c: c.fetchrow(_FIND, tenant, subject))
        return KeyRow(*row) if row else None

    async def streams(self, keys: Sequence[str]) -> list[str]:
        """See `KeyStore.streams`."""
        rows: Any = await self._links.run(lambda c: c.fetch(_STREAMS_OF, list(keys)))
        return [row[0] for row in rows]

    async def count(self, tenant: str, keys: Sequence[str], streams: Sequence[str]) -> Count:
        """See `KeyStore.count`. Reads the rows of these streams, those in the archive too."""

        async def work(connection: Connection) -> list[int]:
            found = [await connection.fetchval(sql, tenant, list(streams), list(keys)) for sql in _COUNTS]
            words = [key.encode() for key in keys]
            for stream in streams:
                found[0] += await _archived(connection, tenant, stream, words)
            return found

        return Count(*await self._links.run(work))

    async def erase(self, erasure: Erasure) -> Erasure:
        """See `KeyStore.erase`."""
        e = erasure

        async def work(connection: Connection) -> Any:
            async with connection.transaction():
                await connection.execute(_FORGET, e.keys)
                await connection.execute(_NOTE, e.id, e.tenant, e.keys, e.by, e.reason, e.at)
            return await connection.fetchrow(_ERASURES.format(where="e.id = $1"), e.id)

        return Erasure(*await self._links.run(work))

    async def erasures(self, after: int) -> list[Erasure]:
        """See `KeyStore.erasures`."""
        rows: Any = await self._links.run(lambda c: c.fetch(_ERASURES.format(where="e.number > $1"), after))
        return list(starmap(Erasure, rows))

    async def rebase(self, tenant: str, stream: str, hashes: Sequence[tuple[int, bytes, str]]) -> int:
        """See `KeyStore.rebase`."""

        async def work(connection: Connection) -> int:
            async with connection.transaction():
                gone = await connection.execute(
                    "delete from thespis.snapshots where tenant = $1 and stream = $2", tenant, stream
                )
                await connection.execute(
                    "delete from thespis.state_hashes where tenant = $1 and stream = $2", tenant, stream
                )
                await connection.execute(
                    "insert into thespis.state_hashes (tenant, stream, version, hash, fold)"
                    " select $1, $2, * from unnest($3::int[], $4::bytea[], $5::text[])",
                    tenant,
                    stream,
                    [version for version, _, _ in hashes],
                    [hash for _, hash, _ in hashes],
                    [fold for _, _, fold in hashes],
                )
            return int(gone.split()[-1])

        return await self._links.run(work)

    async def forget_rows(self, projections: Sequence[str]) -> None:
        """See `KeyStore.forget_rows`."""

        async def work(connection: Connection) -> None:
            async with connection.transaction():
                for sql in _BLANK:
                    await connection.execute(sql, list(projections))

        await self._links.run(work)

    async def finish(self, number: int, receipt: bytes) -> None:
        """See `KeyStore.finish`."""
        await self._links.run(lambda c: c.execute(_FINISH, number, receipt))

    async def receipt(self, number: int) -> bytes | None:
        """See `KeyStore.receipt`."""
        return await self._links.run(
            lambda c: c.fetchval("select receipt from thespis.erasures where number = $1", number)
        )

    async def scrub(self) -> list[str]:
        """See `KeyStore.scrub`."""
        return await self._links.run(scrub)


async def _archived(connection: Connection, tenant: str, stream: str, words: Sequence[bytes]) -> int:
    """How many archived events of a stream hold one of the words. What was moved just now may count twice."""
    positions = sorted((await archived.versions(connection, tenant, stream, 0, _LAST)).values())
    count = 0
    for n in range(0, len(positions), _AT_A_TIME):
        rows = await archived.at(connection, positions[n : n + _AT_A_TIME])
        count += sum(any(word in row[DATA] for word in words) for row in rows)
    return count
