"""A transaction held open between having its numbers and its commit, while another one commits.

The library's own Postgres recorder, with database functions enabled, takes no lock on its table then: the later number
is visible first, and a reader that tails the log goes past the earlier one. Over this log nobody is given a position
before everybody with a lower one has committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.util import find_spec
from time import monotonic
from uuid import uuid4

import asyncpg
import pytest
from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory, StoredEvent
from eventsourcing.utils import Environment

from tests.benchmarks.log_data import peer_environment

GATE = 4711
"""The advisory lock at which the transaction with the topic `slow` waits, after its rows are inserted."""

HOLD = """
create function public.wait_at_the_gate() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(4711);
  return null;
end $$;
create trigger gate after insert on {table} for each row when ({slow}) execute function public.wait_at_the_gate();
"""


@pytest.fixture
async def control(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


def recorder(environment: dict[str, str]) -> tuple[InfrastructureFactory, ApplicationRecorder]:
    factory = InfrastructureFactory.construct(Environment("Tail", environment))
    return factory, factory.application_recorder()


async def waiting(control: asyncpg.Connection, count: int, work: asyncio.Task[object]) -> None:
    """Until so many wait for an advisory lock, or the work is done."""
    deadline = monotonic() + 20
    query = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    while not work.done() and await control.fetchval(query) < count:
        assert monotonic() < deadline, "nobody waits"
        await asyncio.sleep(0.01)


def tail(recorder: ApplicationRecorder, seen: list[str], cursor: int) -> int:
    """What a reader does that remembers how far it came."""
    for notification in recorder.select_notifications(cursor, 10, inclusive_of_start=False):
        seen.append(notification.topic)
        cursor = notification.id
    return cursor


async def seen_by_a_tailing_reader(
    environment: dict[str, str], control: asyncpg.Connection, table: str, slow: str
) -> list[str]:
    """The topics it sees while `slow` is held open, and after; `quick` is written meanwhile."""
    one, two = recorder(environment), recorder(environment)
    try:
        await control.execute(HOLD.format(table=table, slow=slow))
        await control.execute("select pg_advisory_lock($1)", GATE)
        first = asyncio.create_task(
            asyncio.to_thread(one[1].insert_events, [StoredEvent(uuid4(), 1, "late:slow", b"{}")])
        )
        await waiting(control, 1, first)
        second = asyncio.create_task(
            asyncio.to_thread(two[1].insert_events, [StoredEvent(uuid4(), 1, "late:quick", b"{}")])
        )
        await waiting(control, 2, second)
        seen: list[str] = []
        cursor = await asyncio.to_thread(tail, two[1], seen, 0)
        await control.execute("select pg_advisory_unlock($1)", GATE)
        await asyncio.gather(first, second)
        await asyncio.to_thread(tail, two[1], seen, cursor)
        return seen
    finally:
        one[0].close()
        two[0].close()


async def test_a_tailing_reader_misses_nothing_over_this_log(
    environment: dict[str, str], control: asyncpg.Connection
) -> None:
    recorder(environment)[0].close()  # makes the tables
    slow = "new.type = 'late.slow'"
    assert await seen_by_a_tailing_reader(environment, control, "thespis.events", slow) == ["late:slow", "late:quick"]


@pytest.mark.skipif(find_spec("psycopg") is None, reason="psycopg, which the library's own recorder needs, is missing")
async def test_a_tailing_reader_misses_an_event_over_the_librarys_own_recorder(
    postgres_url: str, control: asyncpg.Connection
) -> None:
    environment = peer_environment(postgres_url) | {"POSTGRES_ENABLE_DB_FUNCTIONS": "y", "POSTGRES_POOL_SIZE": "2"}
    recorder(environment)[0].close()
    slow = "new.topic = 'late:slow'"
    assert await seen_by_a_tailing_reader(environment, control, "public.tail_events", slow) == ["late:quick"]
