"""On a real Postgres and a real log: narrow reads, killed connections, crashed servers, writers beside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from events import chain
from events.address import partition_of
from events.store import Append, NewEvent
from infra.postgres.migrate import migrate
from infra.postgres.projections import PostgresReadModels, open_read_models
from infra.postgres.projections_source import PostgresSource
from infra.postgres.store import PostgresStore
from projections import PROJECTIONS, Projector, Query, StoreSource, replay
from projections.events import PROJECTION as EVENTS
from tests.projections.scenes import balances, eventually, rows_of, running
from tests.servers import Postgres

ONE_OF_THEM = """
with victim as (select pid from pg_stat_activity where application_name = 'thespis projections'
                   and datname = current_database() order by random() limit 1)
select count(pg_terminate_backend(pid)) from victim"""


async def write(store: PostgresStore, stream: str, expected: int, count: int = 1, body: bytes = b"") -> int:
    """Append deposits to a stream; returns the head."""
    events: list[NewEvent] = []
    for n in range(count):
        id = f"{stream}-{expected + n}"
        data = body or b'{"amount": 1}'
        link = chain.link(chain.GENESIS, "default", stream, expected + n + 1, id, "Deposited", 1, "m", data)
        events.append(NewEvent(id, "Deposited", 1, data, "m", "c", link))
    append = Append("default", stream, partition_of("default", stream), None, expected, events)
    return (await store.append([append])).head


@pytest.fixture
async def log(postgres_url: str) -> AsyncIterator[PostgresStore]:
    await migrate(postgres_url)
    async with PostgresStore(postgres_url) as store:
        yield store


@pytest.fixture
async def opened(log: PostgresStore, postgres_url: str) -> AsyncIterator[tuple[PostgresSource, PostgresReadModels]]:
    async with open_read_models(postgres_url) as pair:
        yield pair


async def exact(projector: Projector, log: PostgresStore, store: PostgresReadModels) -> None:
    """Every projection equals a fold of the whole log."""
    head = await log.head()
    events = await log.read(0, head)
    for name, projection in projector.projections.items():
        await projector.wait(name, head, 30)
        for table, rows in replay(projection, events).items():
            assert await rows_of(store, name, table) == rows


async def test_the_narrow_source_reads_what_the_log_holds(
    log: PostgresStore, opened: tuple[PostgresSource, PostgresReadModels]
) -> None:
    big = b'{"amount": 1, "note": "' + b"x" * 100_000 + b'"}'
    for n in range(20):
        await write(log, f"account/{n % 3}", n // 3, body=big if n == 7 else b"")
    source, _ = opened
    plain = StoreSource(log)
    assert await source.head() == await plain.head() == 20
    for columns in (balances().columns, ("position",), *(p.columns for p in PROJECTIONS)):
        for types in (None, ["Deposited"], ["Nothing"]):
            ours = await source.read(4, 15, columns, types, None)
            theirs = await plain.read(4, 15, columns, types, None)
            assert ours == theirs
        assert await source.at([8, 3, 99], columns) == await plain.at([8, 3, 99], columns)
    assert (await source.read(7, 8, ("position", "data"), None, None))[0].data == big
    assert [e.data for e in await source.read(7, 8, ("position", "data"), None, ["Other"])] == [None]
    assert await source.read(20, 30, ("position",), None, None) == []


async def test_projections_stay_exact_beside_writers_and_through_a_rebuild(
    log: PostgresStore, opened: tuple[PostgresSource, PostgresReadModels]
) -> None:
    source, store = opened
    async with running(store, source, *PROJECTIONS, balances(), batch=50) as projector:

        async def writer(number: int) -> None:
            for version in range(60):
                projector.wake(await write(log, f"account/{number}", version))

        async def rebuilder() -> None:
            for name in projector.projections:
                await projector.wait(name, 1, 20)
                build = await projector.rebuild(name)

                async def swapped(number: int = build.number) -> bool:
                    return any(s.build == number for s in await projector.status())

                await eventually(swapped)

        await asyncio.gather(*(writer(n) for n in range(8)), rebuilder())
        assert await log.head() == 480
        await exact(projector, log, store)


async def test_connections_killed_again_and_again_lose_and_double_nothing(
    log: PostgresStore, opened: tuple[PostgresSource, PostgresReadModels], postgres_url: str
) -> None:
    source, store = opened
    for n in range(40):
        await write(log, f"account/{n}", 0, 100)
    killer: Any = await asyncpg.connect(postgres_url)
    killed = 0

    async def done() -> bool:
        nonlocal killed
        if killed < 60:  # then they are left alone, so that a slow machine comes to an end
            killed += await killer.fetchval(ONE_OF_THEM)
        builds = await killer.fetch("select cursor from thespis.projection_builds")
        return len(builds) == len(PROJECTIONS) + 1 and all(b["cursor"] == 4_000 for b in builds) and killed > 20

    try:
        async with running(store, source, *PROJECTIONS, balances(), batch=40, poll=0.02) as projector:
            await eventually(done, 60)
            await exact(projector, log, store)
    finally:
        await killer.close()


async def test_a_server_killed_and_restarted_leaves_rows_and_cursor_together(postgres_server: Postgres) -> None:
    url = await postgres_server.create()
    await migrate(url)
    async with PostgresStore(url) as log, open_read_models(url) as (source, store):
        for n in range(20):
            await write(log, f"account/{n}", 0, 100)
        async with running(store, source, *PROJECTIONS, balances(), batch=20, poll=0.1) as projector:
            await projector.wait("balances", 100, 20)
            await postgres_server.kill()
            await postgres_server.restart()
            await exact(projector, log, store)


async def test_a_query_uses_the_indexes(
    log: PostgresStore, opened: tuple[PostgresSource, PostgresReadModels], postgres_url: str
) -> None:
    source, store = opened
    for n in range(30):
        await write(log, f"account/{n}", 0, 100)
    async with running(store, source, EVENTS) as projector:
        await projector.wait("events", 3_000, 20)

        async def indexed() -> bool:
            return all(b.indexed for b in await store.builds("events"))

        await eventually(indexed)
    connection: Any = await asyncpg.connect(postgres_url)
    names = await connection.fetch("select indexdef from pg_indexes where tablename like 'p\\_events\\_%'")
    await connection.close()
    assert len(names) == 5
    page = await store.query("events", Query("default", limit=1))
    assert page.cursor == 3_000


async def test_tables_of_a_dropped_build_are_gone(
    log: PostgresStore, opened: tuple[PostgresSource, PostgresReadModels], postgres_url: str
) -> None:
    _, store = opened
    (live,) = await store.open(balances())
    fresh = await store.rebuild(balances())
    await store.drop("balances", fresh.number)
    connection: Any = await asyncpg.connect(postgres_url)
    tables = await connection.fetch("select tablename from pg_tables where tablename like 'p\\_%'")
    await connection.close()
    assert [t["tablename"] for t in tables] == [f"p_balances_{live.number}_balances"]


async def test_many_hosts_open_a_projection_at_once_and_make_one_build(
    log: PostgresStore, opened: tuple[PostgresSource, PostgresReadModels]
) -> None:
    _, store = opened
    await asyncio.gather(*(store.open(balances()) for _ in range(10)))
    assert len(await store.builds("balances")) == 1
    await asyncio.gather(*(store.open(balances(2)) for _ in range(10)))
    assert [b.version for b in await store.builds("balances")] == [1, 2]
