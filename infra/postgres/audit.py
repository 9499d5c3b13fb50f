"""One look at the whole database: every read in one snapshot, so that a host may go on writing beside it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Final

from events.address import partition_of
from events.envelope import Event
from events.store import Epoch
from infra.postgres import audit_tells, leases, reading
from infra.postgres.audit_rules import Rule
from infra.postgres.connection import Connection, connect, place
from infra.postgres.errors import FAILURES, translated

SHOWN: Final = 10
SLOWEST: Final = 3600.0
"""Seconds the snapshot may be held."""

_BEGIN: Final = "begin transaction isolation level repeatable read, read only"
_SETTINGS: Final = """
select set_config(name, value, true) from (values
  ('work_mem', '128MB'), ('jit', 'off'), ('search_path', 'thespis, pg_temp'),
  ('idle_in_transaction_session_timeout', $1), ('transaction_timeout', $1), ('statement_timeout', $1)) s(name, value)
 where name in (select name from pg_settings)"""
_HEADS: Final = """
select e.tenant, e.stream, e.version, e.hash, e.position
  from unnest($1::text[], $2::text[], $3::int[]) w(tenant, stream, version)
 cross join lateral (select * from thespis.events o
                      where o.tenant = w.tenant and o.stream = w.stream and o.version = w.version limit 1) e"""
_MISPLACED: Final = """
select what, tenant, stream, partition from (
  select distinct 'a tell' as what, tenant, stream, partition from thespis.mailbox
   union all select distinct 'a timer', tenant, stream, partition from thespis.timers
   union all select distinct 'an open effect', tenant, stream, partition from thespis.effects where not delivered) w"""

Key = tuple[str, str, int]
"""Tenant, stream, version."""


class Audit:
    """Three connections that see the same snapshot: for the events in order, for events picked out, for the rules.

    Every call raises StoreUnavailable when Postgres goes away.
    """

    def __init__(self, events: Connection, picked: Connection, rows: Connection, where: str) -> None:
        self._events = events
        self._picked = picked
        self._rows = rows
        self._where = where

    async def head(self) -> int:
        """The last position of the snapshot."""
        return await self._ask(reading.head(self._events))

    async def archived(self) -> int:
        """The position up to which events may stand in the archive; 0: it is empty."""
        return await self._ask(self._events.fetchval("select coalesce(max(last), 0) from thespis.archive"))

    async def page(self, after: int, limit: int) -> list[Event]:
        """The next events."""
        return await self._ask(reading.page(self._events, after, limit, None))

    async def ends(self, wanted: Sequence[Key]) -> dict[Key, tuple[bytes, int]]:
        """Hash and position of the events at these versions, as far as they are there. Reads through forks."""
        rows: list[Any] = await self._ask(
            self._picked.fetch(_HEADS, *(list(part) for part in zip(*wanted, strict=True)))
        )
        found: dict[Key, tuple[bytes, int]] = {(r[0], r[1], r[2]): (r[3], r[4]) for r in rows}
        for tenant, stream, version in {key for key in wanted if key not in found}:
            events = await self._ask(reading.stream(self._picked, tenant, stream, version - 1, version, 1))
            if events and events[0].version == version:
                found[tenant, stream, version] = (events[0].hash, events[0].position)
        return found

    async def epochs(self) -> list[Epoch]:
        """Every claim of a partition."""
        return await self._ask(leases.epochs(self._events, None))

    async def try_rule(self, rule: Rule, after: int) -> tuple[str, list[str], int]:
        """What the rule was held against, the first places where it does not hold, and how many there are.

        `after`: only what lies beyond this position, where a rule can be limited so.
        """
        over: str = await self._ask(self._rows.fetchval(f"select ({rule.over}) where $1::bigint >= 0", after)) or ""
        query = f"select what, count(*) over () from ({rule.faults}) f where $1::bigint >= 0 limit {SHOWN}"
        rows: list[Any] = await self._ask(self._rows.fetch(query, after))
        if after and "$1" in rule.faults:
            over += f", not against events up to position {after:,}, which are archived"
        return over, [row[0] for row in rows], rows[0][1] if rows else 0

    async def told(self) -> tuple[str, list[str], int]:
        """As `try_rule`: decisions that sent other tells than there are, see `audit_tells`."""
        return await self._ask(audit_tells.missing(self._rows))

    async def misplaced(self) -> tuple[str, list[str], int]:
        """As `try_rule`: what waits in another partition than its actor's, where no host looks for it."""
        rows: list[Any] = await self._ask(self._rows.fetch(_MISPLACED))
        wrong = [row for row in rows if partition_of(row[1], row[2]) != row[3]]
        return f"{len(rows):,} rows", list(_misplaced(wrong)), len(wrong)

    async def _ask(self, answer: Any) -> Any:
        try:
            return await answer
        except FAILURES as error:
            raise translated(error, self._where) from error


def _misplaced(wrong: Sequence[Any]) -> Iterator[str]:
    for what, tenant, stream, partition in islice(wrong, SHOWN):
        yield f"{what} of {stream} lies in partition {partition}, not in {partition_of(tenant, stream)}"


@asynccontextmanager
async def open_audit(dsn: str) -> AsyncGenerator[Audit]:
    """One snapshot of a database that is at the migrations of this code. Raises StoreUnavailable."""
    where = place(dsn)
    opened: list[Connection] = []
    try:
        try:
            for name in ("verify", "verify picked", "verify rows"):
                opened.append(await connect(dsn, name, SLOWEST))
            events, picked, rows = opened
            await events.execute(_BEGIN)
            await events.fetch(_SETTINGS, f"{int(SLOWEST * 1000)}ms")
            snapshot: str = await events.fetchval("select pg_export_snapshot()")
            for other in (picked, rows):
                await other.execute(f"{_BEGIN}; set transaction snapshot '{snapshot}'")
                await other.fetch(_SETTINGS, f"{int(SLOWEST * 1000)}ms")
        except FAILURES as error:
            raise translated(error, where) from error
        yield Audit(events, picked, rows, where)
    finally:
        for connection in opened:
            connection.terminate()
