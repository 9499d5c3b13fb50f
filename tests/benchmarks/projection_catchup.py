"""Catching up with the log: folded rows, and one row per event, against the same by hand on one bare connection."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from events.envelope import Event
from infra.postgres.migrate import migrate
from infra.postgres.projections import open_read_models
from projections import PROJECTIONS, Projection, Projector, Ref, Rows, Table
from tests.benchmarks.log_data import fresh

EVENTS = 400_000
ACCOUNTS = 1_000
RUNS = 3
PAGE = 5_000
TAIL = 10_000


class Deposited(msgspec.Struct, frozen=True):
    amount: int
    order: str
    note: str


BALANCES = Table("balances", {"tenant": str, "account": str, "balance": int, "changes": int}, key=("tenant", "account"))


def keys(event: Event, data: Any) -> list[Ref]:
    return [(BALANCES, (event.tenant, event.stream))]


def apply(rows: Rows, event: Event, data: Deposited) -> None:
    tenant, account = event.tenant, event.stream
    row = rows.get(BALANCES, tenant, account)
    if row is None:
        row = {"tenant": tenant, "account": account, "balance": 0, "changes": 0}
    row["balance"] += data.amount
    row["changes"] += 1
    rows.put(BALANCES, row)


BALANCE = Projection(
    "balances",
    1,
    tables=[BALANCES],
    types=[Deposited],
    keys=keys,
    apply=apply,
    reads=("tenant", "stream"),
)
BY_NAME = {p.name: p for p in [*PROJECTIONS, BALANCE]}


@asynccontextmanager
async def filled(url: str, events: int = EVENTS) -> AsyncIterator[str]:
    """A database of one's own with a log in it."""
    async with fresh(url) as dsn:
        await migrate(dsn)
        await fill(dsn, events)
        yield dsn


async def fill(dsn: str, events: int) -> None:
    connection = await asyncpg.connect(dsn)
    start = 1_700_000_000_000_000
    for first in range(0, events, 20_000):
        rows: list[tuple[Any, ...]] = []
        for i in range(first, min(first + 20_000, events)):
            data = msgspec.json.encode(Deposited(i % 7, f"order-{i:012d}", "please leave it at the back door"))
            id = f"018f0000-0000-7000-8{i >> 48 & 0xFFF:03x}-{i:012x}"
            rows.append(
                (
                    i + 1, "default", f"account/{i * 7919 % ACCOUNTS}", i // ACCOUNTS + 1, id, "Deposited", 1, data,
                    f"018f0000-0000-7000-9000-{i * 48271 % 2147483647:012x}",
                    f"018f0000-0000-7000-a000-{i // 3 * 48271 % 2147483647:012x}", 1, start + i * 500, None, None,
                    b"h" * 32,
                )
            )  # fmt: skip
        await connection.copy_records_to_table(
            "events", schema_name="thespis", columns=list(Event.__struct_fields__), records=rows
        )
    await connection.execute("vacuum analyze thespis.events")
    await connection.close()


async def ours(dsn: str, name: str) -> tuple[float, float]:
    """Seconds until all is folded, and until it is indexed too."""
    connection = await asyncpg.connect(dsn)
    await forget(connection, name)
    async with open_read_models(dsn) as (source, store):
        projector = Projector([BY_NAME[name]], source, store)
        begin = time.perf_counter()
        await projector.start()
        await projector.wait(name, EVENTS, 120)
        folded = time.perf_counter() - begin
        while not (await store.builds(name))[0].indexed:
            await asyncio.sleep(0.002)
        ready = time.perf_counter() - begin
        await projector.stop()
    await connection.close()
    return folded, ready


async def forget(connection: Any, name: str) -> None:
    for (table,) in await connection.fetch(
        "select tablename from pg_tables where schemaname = 'thespis' and tablename like $1", f"p\\_{name}\\_%"
    ):
        await connection.execute(f'drop table thespis."{table}"')
    await connection.execute("delete from thespis.projection_builds where projection = $1", name)
    await connection.execute("drop table if exists raw_rows, raw_cursor")
    await connection.execute("checkpoint")


async def raw_fold(dsn: str) -> float:
    """Page, decode, fold, upsert and cursor, as by hand."""
    connection = await asyncpg.connect(dsn)
    await forget(connection, "balances")
    await connection.execute("create table raw_rows (account text primary key, balance bigint, changes bigint)")
    await connection.execute("create table raw_cursor (position bigint)")
    await connection.execute("insert into raw_cursor values (0)")
    decode = msgspec.json.Decoder(Deposited).decode
    page = await connection.prepare(
        "select position, stream, data from thespis.events where position > $1 order by position limit $2"
    )
    begin = time.perf_counter()
    position = 0
    while rows := await page.fetch(position, PAGE):
        sums: dict[str, list[int]] = {}
        for position, stream, data in rows:  # noqa: B007
            event = decode(data)
            row = sums.get(stream)
            if row is None:
                sums[stream] = [event.amount, 1]
            else:
                row[0] += event.amount
                row[1] += 1
        async with connection.transaction():
            await connection.execute(
                "insert into raw_rows select * from unnest($1::text[], $2::bigint[], $3::bigint[])"
                " on conflict (account) do update set balance = raw_rows.balance + excluded.balance,"
                " changes = raw_rows.changes + excluded.changes",
                list(sums),
                [v[0] for v in sums.values()],
                [v[1] for v in sums.values()],
            )
            await connection.execute("update raw_cursor set position = $1", position)
    seconds = time.perf_counter() - begin
    await connection.close()
    return seconds


async def raw_rows(dsn: str) -> float:
    """Page, COPY and cursor, as by hand."""
    connection = await asyncpg.connect(dsn)
    await forget(connection, "events")
    columns = ["tenant", "position", "stream", "version", "type", "id", "correlation", "causation", "recorded_at"]
    await connection.execute(
        'create table raw_rows (tenant text collate "C", position bigint, stream text collate "C", version int,'
        ' type text collate "C", id text collate "C", correlation text collate "C", causation text collate "C",'
        " recorded_at bigint, primary key (tenant, position))"
    )
    await connection.execute("create table raw_cursor (position bigint)")
    await connection.execute("insert into raw_cursor values (0)")
    page = await connection.prepare(
        f"select {', '.join(columns)} from thespis.events where position > $1 order by position limit $2"
    )
    begin = time.perf_counter()
    position = 0
    while rows := await page.fetch(position, PAGE):
        position = rows[-1][1]
        async with connection.transaction():
            await connection.copy_records_to_table("raw_rows", columns=columns, records=rows)
            await connection.execute("update raw_cursor set position = $1", position)
    seconds = time.perf_counter() - begin
    await connection.close()
    return seconds


async def folded(servers: Any, emit: Callable[..., None]) -> None:
    """Rows that many events share: 1,000 balances, and the count per type and minute."""
    async with filled(servers.postgres_url) as dsn:
        rates: dict[str, list[float]] = {"balances": [], "throughput": [], "raw": []}
        for _ in range(RUNS):
            rates["raw"].append(EVENTS / await raw_fold(dsn))
            for name in ("balances", "throughput"):
                rates[name].append(EVENTS / (await ours(dsn, name))[0])
    for name, values in rates.items():
        extra: dict[str, Any] = {}
        if name != "raw":
            extra = {"of_raw": ratio(values, rates["raw"]), "floor": 200_000}
        emit(case=f"projection catch-up, folded, {name}", rates=values, unit="events/s", events=EVENTS, **extra)


def ratio(values: list[float], others: list[float]) -> float:
    """Of the medians."""
    return statistics.median(values) / statistics.median(others)


async def one_row_per_event(servers: Any, emit: Callable[..., None]) -> None:
    """The searchable feed, until folded, and until its indexes are there too."""
    async with filled(servers.postgres_url) as dsn:
        rates: dict[str, list[float]] = {"folded": [], "folded and indexed": [], "raw, not indexed": []}
        for _ in range(RUNS):
            rates["raw, not indexed"].append(EVENTS / await raw_rows(dsn))
            seconds, ready = await ours(dsn, "events")
            rates["folded"].append(EVENTS / seconds)
            rates["folded and indexed"].append(EVENTS / ready)
    raw = rates["raw, not indexed"]
    for name, values in rates.items():
        extra = {} if values is raw else {"of_raw": ratio(values, raw), "floor": 60_000}
        emit(
            case=f"projection catch-up, one row per event, {name}",
            rates=values,
            unit="events/s",
            events=EVENTS,
            **extra,
        )


async def tail(servers: Any, emit: Callable[..., None]) -> None:
    """From the doorbell to rows that a reader sees, one event at a time; and a bare transaction of one row."""
    async with filled(servers.postgres_url, TAIL) as dsn, open_read_models(dsn) as (source, store):
        log = await asyncpg.connect(dsn)
        seconds: dict[str, list[float]] = {"visible": [], "bare transaction": []}
        await log.execute("create table raw_cursor (position bigint)")
        await log.execute("insert into raw_cursor values (0)")
        projector = Projector([BALANCE], source, store)
        await projector.start()
        await projector.wait(BALANCE.name, TAIL, 60)
        for position in range(TAIL + 1, TAIL + 501):
            await log.execute(COPY_LAST, position)
            begin = time.perf_counter()
            projector.wake(position)
            await projector.wait(BALANCE.name, position, 10)
            seconds["visible"].append(time.perf_counter() - begin)
            begin = time.perf_counter()
            async with log.transaction():
                await log.execute("update raw_cursor set position = $1", position)
            seconds["bare transaction"].append(time.perf_counter() - begin)
        await projector.stop()
        await log.close()
    for name, values in seconds.items():
        emit(case=f"projection tail, one event, {name}", seconds=values)


COPY_LAST = """
insert into thespis.events (position, tenant, stream, version, id, type, schema, data, causation, correlation, epoch,
                            recorded_at, hash)
select $1::bigint, tenant, stream, $1::integer, id, type, schema, data, causation, correlation, epoch, recorded_at, hash
  from thespis.events where position = 1"""


CASES = [("projection-fold", folded), ("projection-rows", one_row_per_event), ("projection-tail", tail)]
