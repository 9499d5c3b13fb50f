"""Hosts and partitions of a `MemoryStore`, by its clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from events.errors import NotOwned
from events.store import Epoch, HostRow, Lease
from infra.memory.store_tables import Tables


class _Host(msgspec.Struct):
    started_at: int
    until: int
    ttl: int
    info: bytes


class Leases:
    """The ownership part of the port."""

    def __init__(self, tables: Tables, now: Callable[[], int]) -> None:
        self._tables = tables
        self._now = now
        self._hosts: dict[str, _Host] = {}

    async def join(self, host: str, ttl: float, info: bytes) -> None:
        """Announce a host. What a host of that name owned before, it no longer owns."""
        now = self._now()
        us = int(ttl * 1_000_000)
        self._disown(host, range(len(self._tables.owners)))
        self._hosts[host] = _Host(now, now + us, us, info)

    async def heartbeat(self, host: str) -> tuple[list[HostRow], list[Lease]]:
        """Renew the host's lease and see everybody."""
        now = self._now()
        self._check(host, now)
        self._hosts[host].until = now + self._hosts[host].ttl
        hosts = [HostRow(id, h.until > now, h.started_at, h.info) for id, h in sorted(self._hosts.items())]
        tables = self._tables
        leases = [Lease(n, *pair) for n, pair in enumerate(zip(tables.owners, tables.epochs, strict=True))]
        return hosts, leases

    async def claim(self, host: str, partitions: Sequence[int]) -> dict[int, int]:
        """Take partitions that nobody alive owns."""
        now = self._now()
        self._check(host, now)
        tables = self._tables
        taken: dict[int, int] = {}
        for n in sorted(partitions):
            owner = tables.owners[n]
            if owner is None or owner not in self._hosts or self._hosts[owner].until <= now:
                tables.owners[n] = host
                tables.epochs[n] += 1
                taken[n] = tables.epochs[n]
                tables.claims[n].append(Epoch(n, taken[n], host, len(tables.log), now))
        return taken

    async def epochs(self, partition: int | None = None) -> list[Epoch]:
        """Every claim there ever was."""
        claims = self._tables.claims
        return [e for n in (range(len(claims)) if partition is None else [partition]) for e in claims[n]]

    async def release(self, host: str, partitions: Sequence[int]) -> None:
        """Give partitions back."""
        self._disown(host, partitions)

    async def leave(self, host: str) -> None:
        """Release everything and forget the host."""
        self._disown(host, range(len(self._tables.owners)))
        self._hosts.pop(host, None)

    async def strike(self, tenant: str, stream: str, message: str, reason: str) -> int:
        """Count a death of a host with this message in hand."""
        key = (tenant, stream, message)
        count = self._tables.strikes.get(key, (0, 0))[0] + 1
        self._tables.strikes[key] = (count, self._now())
        return count

    async def strikes(self, least: int) -> dict[tuple[str, str, str], int]:
        """Deaths counted so far, where there are enough."""
        return {key: count for key, (count, _) in self._tables.strikes.items() if count >= least}

    def _check(self, host: str, now: int) -> None:
        known = self._hosts.get(host)
        if known is None or known.until <= now:
            raise NotOwned(f"the lease of host {host} ran out", hint="join again")

    def _disown(self, host: str, partitions: Sequence[int]) -> None:
        owners = self._tables.owners
        for n in partitions:
            if owners[n] == host:
                owners[n] = None
