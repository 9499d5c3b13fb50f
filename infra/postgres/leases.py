"""Who is alive and who owns which partition, judged by the clock of the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from events.errors import NotOwned
from events.store import Epoch, HostRow, Lease
from infra.postgres.connection import Connection

_KEPT = 3600 * 1_000_000  # a host that has been dead this long is forgotten

_FORGET = "delete from thespis.hosts where beat_at + ttl < thespis.now_us() - $1"
_JOIN = """
with disowned as (update thespis.partitions set owner = null where owner = $1)
insert into thespis.hosts (id, started_at, beat_at, ttl, info) select $1, n, n, $2, $3 from thespis.now_us() n
    on conflict (id) do update set started_at = excluded.started_at, beat_at = excluded.beat_at, ttl = excluded.ttl,
       info = excluded.info"""
_BEAT = """
update thespis.hosts set beat_at = thespis.now_us() where id = $1 and beat_at + ttl > thespis.now_us() returning id"""
_HOSTS = "select id, beat_at + ttl > thespis.now_us(), started_at, info from thespis.hosts order by id"
_LEASES = "select partition, owner, epoch from thespis.partitions order by partition"
_CLAIM = "select partition, epoch from thespis.claim($1, $2)"
_EPOCHS = """
select partition, epoch, owner, position, claimed_at from thespis.epochs
 where $1::int is null or partition = $1 order by partition, epoch"""
_RELEASE = "update thespis.partitions set owner = null where owner = $1 and partition = any($2::int[])"
_LEAVE = """
with disowned as (update thespis.partitions set owner = null where owner = $1)
delete from thespis.hosts where id = $1"""
_STRIKE = """
insert into thespis.strikes as s (tenant, stream, message, count, reason, at)
values ($1, $2, $3, 1, $4, thespis.now_us())
    on conflict (tenant, stream, message) do update
       set count = s.count + 1, reason = excluded.reason, at = excluded.at
returning count"""
_STRIKES = "select tenant, stream, message, count from thespis.strikes where count >= $1"


async def join(connection: Connection, host: str, ttl: float, info: bytes) -> None:
    """Announce a host. What a host of that name owned before, it no longer owns."""
    await connection.execute(_FORGET, _KEPT)
    await connection.execute(_JOIN, host, int(ttl * 1_000_000), info)


async def heartbeat(connection: Connection, host: str) -> tuple[list[HostRow], list[Lease]]:
    """Renew the lease; everybody and every partition."""
    if await connection.fetchval(_BEAT, host) is None:
        raise NotOwned(f"the lease of host {host} ran out", hint="join again")
    hosts: list[Any] = await connection.fetch(_HOSTS)
    leases: list[Any] = await connection.fetch(_LEASES)
    return [HostRow(*row) for row in hosts], [Lease(*row) for row in leases]


async def claim(connection: Connection, host: str, partitions: Sequence[int]) -> dict[int, int]:
    """Take partitions that nobody alive owns, under the lock of the log: an append sees either epoch, never between."""
    rows: list[Any] = await connection.fetch(_CLAIM, host, partitions)
    if any(partition is None for partition, _ in rows):
        raise NotOwned(f"the lease of host {host} ran out", hint="join again")
    return dict(rows)


async def epochs(connection: Connection, partition: int | None) -> list[Epoch]:
    """Every claim there ever was."""
    rows: list[Any] = await connection.fetch(_EPOCHS, partition)
    return [Epoch(*row) for row in rows]


async def release(connection: Connection, host: str, partitions: Sequence[int]) -> None:
    """Give partitions back."""
    await connection.execute(_RELEASE, host, partitions)


async def leave(connection: Connection, host: str) -> None:
    """Give everything back and forget the host."""
    await connection.execute(_LEAVE, host)


async def strike(connection: Connection, tenant: str, stream: str, message: str, reason: str) -> int:
    """Count a death."""
    return await connection.fetchval(_STRIKE, tenant, stream, message, reason)


async def strikes(connection: Connection, least: int) -> dict[tuple[str, str, str], int]:
    """Deaths counted so far, where there are enough."""
    rows: list[Any] = await connection.fetch(_STRIKES, least)
    return {(tenant, stream, message): count for tenant, stream, message, count in rows}
