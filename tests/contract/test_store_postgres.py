"""What only a server can do to the log: break connections, roll back, refuse, run out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from events.errors import Corrupt, Invalid, InvalidData, OutcomeUnknown, StoreUnavailable, ThespisError
from events.store import Status
from infra.postgres import PostgresStore, migrate, open_store
from infra.postgres.encoding import APPEND, encode
from infra.postgres.errors import translated
from tests.contract.store_harness import event, handled, put, statuses, write
from tests.servers import Postgres

CUT_WAITING = """
select pg_terminate_backend(pid) from pg_stat_activity
 where datname = current_database() and pid <> pg_backend_pid() and wait_event = 'advisory'"""
COUNT_READERS = """
select count(*) from pg_stat_activity
 where datname = current_database() and application_name = 'thespis reader'"""


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    async with open_store(postgres_url) as store:
        yield store


@pytest.fixture
async def admin(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    deadline = time.monotonic() + 30
    while not await condition():
        assert time.monotonic() < deadline, "waited in vain"


def changed(url: str, **parts: str) -> str:
    return urlunsplit(urlsplit(url)._replace(**parts))


async def test_nobody_listening_is_said_without_the_password() -> None:
    with pytest.raises(StoreUnavailable, match=r"does not answer.*127.0.0.1:1/nowhere") as caught:
        await PostgresStore("postgresql://ada:s3cret@127.0.0.1:1/nowhere").head()
    assert "s3cret" not in str(caught.value) + caught.value.hint
    with pytest.raises(StoreUnavailable):
        await migrate("postgresql://ada:s3cret@127.0.0.1:1/nowhere")


async def test_a_missing_database_is_said(postgres_url: str) -> None:
    with pytest.raises(StoreUnavailable, match="the database does not exist"):
        async with open_store(changed(postgres_url, path="/nowhere")):
            pass


async def test_a_wrong_password_is_said(postgres_url: str) -> None:
    netloc = "thespis:wrong@" + urlsplit(postgres_url).netloc.rpartition("@")[2]
    with pytest.raises(StoreUnavailable, match="refuses the user or password"):
        async with open_store(changed(postgres_url, netloc=netloc)):
            pass


async def test_a_dsn_that_is_none_is_said() -> None:
    with pytest.raises(Invalid, match="DATABASE_URL is not valid"):
        await PostgresStore("mysql://ada@localhost/x").head()


async def test_a_database_that_was_not_migrated_is_said(postgres_url: str) -> None:
    async with PostgresStore(postgres_url) as store:
        with pytest.raises(StoreUnavailable, match="not migrated"):
            await store.head()


async def test_a_read_only_database_is_said_and_still_read(
    postgres_url: str, store: PostgresStore, admin: asyncpg.Connection
) -> None:
    await put(store, write("a/1", 0))
    name = urlsplit(postgres_url).path[1:]
    await admin.execute(f"alter database {name} set default_transaction_read_only = on")
    async with PostgresStore(postgres_url) as late:
        with pytest.raises(StoreUnavailable, match="read-only"):
            await late.append([write("a/1", 1)])
        with pytest.raises(StoreUnavailable, match="read-only"):
            await late.join("h1", 1, b"")
        assert len(await late.read(0, 10)) == 1


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (asyncpg.DiskFullError("no space left on device"), StoreUnavailable, "disk of Postgres is full"),
        (asyncpg.TooManyConnectionsError("sorry"), StoreUnavailable, "no connection to spare"),
        (asyncpg.DataCorruptedError("invalid page"), Corrupt, "damage"),
        (asyncpg.CannotConnectNowError("the database system is starting up"), StoreUnavailable, "starting up"),
        (asyncpg.DeadlockDetectedError("deadlock"), StoreUnavailable, "refuses: deadlock"),
        (ConnectionResetError(), StoreUnavailable, "ConnectionResetError"),
        (TimeoutError(), StoreUnavailable, "TimeoutError"),
    ],
)
def test_what_the_server_says_is_put_in_our_words(error: Exception, kind: type[ThespisError], text: str) -> None:
    said = translated(error, "db.example/thespis")
    assert type(said) is kind
    assert text in said.message
    assert "db.example/thespis" in said.message


@pytest.mark.parametrize("text", ["nul \0 in it", "lone \ud800 surrogate"])
async def test_text_that_cannot_be_stored_is_refused_by_name_and_nothing_is_written(
    store: PostgresStore, text: str
) -> None:
    batch = [write("a/1", 0), write("a/2", 0, [event(correlation=text)])]
    with pytest.raises(InvalidData, match=r"append 1 of the batch \(default a/2\).*not storable"):
        await store.append(batch)
    assert await store.head() == 0
    await put(store, batch[0])


async def test_a_message_id_that_is_no_uuid_is_refused_by_name(store: PostgresStore) -> None:
    message = handled()
    message.id = "m-1"
    with pytest.raises(InvalidData, match=r"append 0 .*'m-1' is no UUID"):
        await store.append([write("a/1", 0, handled=[message])])
    await put(store, write("a/1", 0))


async def test_a_rolled_back_append_leaves_no_hole(store: PostgresStore, admin: asyncpg.Connection) -> None:
    await put(store, write("a/1", 0, 2))
    transaction = admin.transaction()
    await transaction.start()
    row = await admin.fetchrow(APPEND, *encode([write("a/2", 0, 5)]))
    assert row is not None
    assert row["before"] == 2
    waiting = asyncio.create_task(store.append([write("a/3", 0, 1)]))
    assert [e.position for e in await store.read(0, 10)] == [1, 2], "a reader waits for nobody"
    await transaction.rollback()
    assert (await waiting).head == 3
    assert [e.stream for e in await store.read(0, 10)] == ["a/1", "a/1", "a/3"]


async def test_a_long_transaction_elsewhere_holds_up_nobody(store: PostgresStore, admin: asyncpg.Connection) -> None:
    async with admin.transaction(isolation="repeatable_read"):
        assert await admin.fetchval("select count(*) from thespis.events") == 0
        await admin.execute("create temporary table t on commit drop as select txid_current()")
        for n in range(20):
            await put(store, write("a/1", n))
        assert [e.position for e in await store.read(0, 100)] == list(range(1, 21))


async def test_a_connection_cut_during_a_commit_leaves_the_outcome_open(
    store: PostgresStore, admin: asyncpg.Connection
) -> None:
    one = write("a/1", 0, handled=[handled("m")])
    async with admin.transaction():
        await admin.execute("select thespis.lock_log()")
        waiting = asyncio.create_task(store.append([one]))
        await until(lambda: admin.fetch(CUT_WAITING))
        with pytest.raises(OutcomeUnknown, match="during a commit"):
            await waiting
    assert statuses(await store.append([one])) == [Status.WRITTEN]
    assert statuses(await store.append([one])) == [Status.DUPLICATE]


async def test_everything_goes_on_after_the_server_was_killed(postgres_server: Postgres) -> None:
    async with open_store(await postgres_server.create()) as store:
        await put(store, write("a/1", 0, 3))
        assert len(await store.read(0, 10)) == 3
        await postgres_server.kill()
        with pytest.raises(StoreUnavailable):
            await store.head()
        with pytest.raises((StoreUnavailable, OutcomeUnknown)):
            await store.append([write("a/1", 3)])
        await postgres_server.restart()
        assert await store.head() == 3
        await put(store, write("a/1", 3))


async def test_an_acknowledged_append_outlives_a_killed_server(postgres_server: Postgres) -> None:
    acknowledged: list[int] = []
    under_way = asyncio.Event()
    async with open_store(await postgres_server.create()) as store:

        async def write_on() -> None:
            while True:
                acknowledged.append((await store.append([write("a/1", len(acknowledged))])).head)
                if len(acknowledged) == 50:
                    under_way.set()

        writer = asyncio.create_task(write_on())
        await under_way.wait()
        await postgres_server.kill()
        with pytest.raises((StoreUnavailable, OutcomeUnknown)):
            await writer
        await postgres_server.restart()
        log = await store.read(0, 100_000)
    positions = [e.position for e in log]
    assert positions == list(range(1, len(log) + 1))
    assert len(acknowledged) <= len(log) <= len(acknowledged) + 1


async def test_reads_go_on_after_their_connections_were_cut(store: PostgresStore, admin: asyncpg.Connection) -> None:
    await put(store, write("a/1", 0))
    await store.head()
    await admin.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where datname = current_database() and application_name like 'thespis %'"
    )
    assert await store.head() == 1
    await put(store, write("a/1", 1))


async def test_many_readers_share_few_connections(postgres_url: str, admin: asyncpg.Connection) -> None:
    async with open_store(postgres_url, readers=2) as store:
        await put(store, write("a/1", 0))
        tasks = [asyncio.create_task(store.read(0, 10)) for _ in range(50)]
        for task in tasks[10:20]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(d, list) for d in done) >= 40
        assert await admin.fetchval(COUNT_READERS) <= 2
        assert await store.head() == 1
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.head()


async def test_a_bulk_append_that_cannot_be_stored_fails_alone(store: PostgresStore) -> None:
    bad = event()
    bad.correlation = "a\0b"
    worse = event()
    worse.causation = "\ud800"
    results = await asyncio.gather(
        store.bulk([write("a/1", 0, 2)]),
        store.bulk([write("a/2", 0, [bad])]),
        store.bulk([write("a/3", 0, [worse])]),
        store.bulk([write("a/4", 0, 2)]),
        return_exceptions=True,
    )
    assert [isinstance(result, InvalidData) for result in results] == [False, True, True, False]
    assert sorted({e.stream for e in await store.read(0, 100)}) == ["a/1", "a/4"]
