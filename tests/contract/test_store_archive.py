"""Old events in the archive: what stays, what a killed archiver leaves, what others read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from events.errors import Corrupt
from events.store import Append, Snapshot, Status
from infra.postgres import PostgresStore
from infra.postgres.archive_block import SIZE
from infra.postgres.connection import Links
from infra.postgres.projections_source import PostgresSource
from projections.core.definition import EVENT_COLUMNS
from projections.core.source import StoreSource
from tests.contract.store_harness import TENANT, Postgres, event, put, statuses, write

BIG = b'"' + b"x" * 70_000 + b'"'


@pytest.fixture
def database(postgres_url: str) -> Postgres:
    return Postgres(postgres_url)


@pytest.fixture
async def store(database: Postgres) -> AsyncIterator[PostgresStore]:
    store = await database.open()
    assert isinstance(store, PostgresStore)
    yield store
    await database.close()


async def written(store: PostgresStore, streams: int = 7, rounds: int = 100) -> int:
    """Events of several streams in turn, some of them large, and one stream that ended long ago."""
    await put(store, write("early/1", 0, 3))
    for n in range(rounds):
        datas = [BIG if n % 40 == 1 else b'{"n":%d}' % n]
        batch: list[Append] = []
        for k in range(streams):
            batch.append(write(f"a/{k}", n, [event(data, type=f"T{n % 3}") for data in datas]))
        await put(store, *batch)
    return await store.head()


async def everything(store: PostgresStore) -> list[object]:
    """Whatever the port can read of events."""
    head = await store.head()
    streams = [stream async for stream in store.streams()]
    found: list[object] = [head, streams]
    for limit in (1000, 97):
        at = 0
        while page := await store.read(at, limit):
            found.append(page)
            at = page[-1].position
    found.append(await store.read(10, 50, ["T1"]))
    found.append(await store.read(head - 20, 50, ["T0", "T2"]))
    for tenant, stream, version in streams:
        found.append(await store.read_stream(tenant, stream))
        found.append(await store.read_stream(tenant, stream, version // 3, version - 1, 5))
        found += [(o.version, o.hash, o.snapshot, list(o.events)) for o in await store.load([(tenant, stream, "f")])]
    return found


@pytest.mark.parametrize("upto", [1, SIZE, SIZE + 1, 600, 10_000])
async def test_reads_are_as_before_whatever_was_moved(store: PostgresStore, upto: int) -> None:
    head = await written(store)
    before = await everything(store)
    told: list[int] = []
    count = await store.archive(upto, moved=told.append)
    assert count == sum(told)
    assert await everything(store) == before
    figures = await store.figures()
    assert (figures.archived, figures.rows["events"]) == (count, head - count)
    assert figures.archived_upto <= upto
    assert await store.archive(upto) == 0


async def test_what_was_left_behind_follows_and_reads_are_as_before(store: PostgresStore) -> None:
    await written(store, rounds=60)
    await store.archive(10_000)
    more = [write("early/1", 3, 2), *(write(f"a/{k}", 60, 2) for k in range(7))]
    await put(store, *more)
    before = await everything(store)
    first = (await store.figures()).archived
    assert await store.archive(10_000) == 0  # not worth the work of packing a block again
    assert await store.archive(10_000, fewest=1) == 1 + 1 + 7 * 2
    assert (await store.figures()).archived == first + 16
    assert await everything(store) == before


async def test_an_archived_stream_goes_on_where_it_ended(store: PostgresStore) -> None:
    await written(store)
    await store.save_snapshots([Snapshot(TENANT, "a/1", 50, "f", b"{}")])
    await store.archive(10_000)
    assert statuses(await store.append([write("a/1", 0), write("a/2", 99), write("a/3", 50)])) == [Status.CONFLICT] * 3
    await put(store, write("a/1", 100), write("early/1", 3))
    (loaded,) = await store.load([(TENANT, "a/1", "f")])
    assert loaded.snapshot is not None
    assert (loaded.version, [e[0] for e in loaded.events]) == (101, list(range(51, 102)))
    await put(store, write("fork/1", 40, fork_of=("a/1", 40)))
    assert [e.version for e in await store.read_stream(TENANT, "fork/1")] == list(range(1, 42))


async def test_streams_that_are_looked_at_by_other_ways_stay(store: PostgresStore) -> None:
    await put(store, write("es/app.1", 0, 5), write("a/1", 0, 5))
    assert await store.archive(10_000) == 4
    assert [e.stream for e in await store.read(0, 100)] == ["es/app.1"] * 5 + ["a/1"] * 5


async def test_projections_read_the_archive(database: Postgres, store: PostgresStore) -> None:
    head = await written(store)
    links = Links(database.dsn, "source", 1, 30.0)
    fast, plain = PostgresSource(links), StoreSource(store)
    for columns in (EVENT_COLUMNS, ("type",), ("position", "stream", "data")):
        for types in (None, ["T1"], ["Nothing"]):
            ranges = [(0, 100), (90, 400), (head - 10, head), (0, head)]
            before = [await fast.read(*r, columns, types, None) for r in ranges]
            await store.archive(10_000)
            assert [await fast.read(*r, columns, types, None) for r in ranges] == before
            assert [[*map(repr, await plain.read(*r, columns, types, None))] for r in ranges] == [
                [*map(repr, rows)] for rows in before
            ]
    assert [e.position for e in await fast.at([5, 300, head, 99_999], ("position",))] == [5, 300, head]
    await links.close()


@pytest.mark.parametrize("table", ["blobs", "archive_streams", "archive"])
async def test_an_archiver_cut_off_at_a_statement_loses_and_doubles_nothing(
    database: Postgres, store: PostgresStore, table: str
) -> None:
    await written(store, rounds=30)
    before = await everything(store)
    holder, killer = await asyncpg.connect(database.dsn), await asyncpg.connect(database.dsn)
    await holder.execute(f"begin; lock table thespis.{table} in share mode")  # it can be read, and waits to be written
    task = asyncio.create_task(store.archive(10_000))
    async with asyncio.timeout(30):
        while not (waiting := await killer.fetchval(
            "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )):  # fmt: skip
            await asyncio.sleep(0.01)
    await killer.execute("select pg_terminate_backend($1)", waiting)
    other = await database.open()
    assert isinstance(other, PostgresStore)
    assert await everything(other) == before
    assert (await other.figures()).archived == 0
    await holder.execute("rollback")
    assert await task > 0  # on a new connection it goes on
    assert await everything(store) == before
    await asyncio.gather(holder.close(), killer.close())


async def test_two_archivers_readers_and_a_writer_at_once(database: Postgres, store: PostgresStore) -> None:
    head = await written(store, rounds=40)
    others = [await database.open() for _ in range(2)]
    moving = asyncio.gather(*(other.archive(10_000) for other in others))
    n = 40
    while not moving.done():
        await put(store, write("a/1", n))
        n += 1
        assert [e.position for e in await store.read(0, head)] == list(range(1, head + 1))
        assert [e.version for e in await store.read_stream(TENANT, "a/1")] == list(range(1, n + 1))
    await moving
    assert [e.version for e in await store.read_stream(TENANT, "a/1")] == list(range(1, n + 1))


async def test_a_damaged_block_is_said_and_never_skipped(database: Postgres, store: PostgresStore) -> None:
    await written(store, rounds=10)
    await store.archive(10_000)
    await database.execute("update thespis.archive set body = 'x'::bytea")
    with pytest.raises(Corrupt, match="block 0"):
        await store.read(0, 10)
