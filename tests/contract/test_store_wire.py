"""The wire to Postgres fails during an append: what is told, what is in the log, and whom it keeps waiting."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from events.errors import OutcomeUnknown
from events.store import Status
from gateway.torture.faults_wire import How, Strike, Wire, wire
from infra.postgres import PostgresStore, open_store
from infra.postgres.connection import connect
from tests.contract.store_harness import write


@pytest.fixture
async def line(postgres_url: str) -> AsyncIterator[Wire]:
    async with wire(urlsplit(postgres_url).port or 0) as line:
        yield line


@pytest.fixture
async def near(postgres_url: str) -> AsyncIterator[PostgresStore]:
    """A store that needs no wire."""
    async with open_store(postgres_url) as store:
        yield store


@pytest.fixture
async def far(near: PostgresStore, line: Wire, postgres_url: str) -> AsyncIterator[PostgresStore]:
    """A store whose wire can fail, with as little patience as will do."""
    url = postgres_url.replace(f":{urlsplit(postgres_url).port}/", f":{line.port}/")
    async with PostgresStore(url, write_timeout=1.0) as store:
        yield store
        line.open.set()


@pytest.mark.parametrize(("how", "written"), [("not sent", False), ("sent", True), ("answered", True)])
async def test_an_append_whose_connection_is_cut_is_open_and_the_next_one_goes_on(
    near: PostgresStore, far: PostgresStore, line: Wire, how: How, written: bool
) -> None:
    line.strike(Strike(how))
    with pytest.raises(OutcomeUnknown):
        await far.append([write("account/1", 0, 1)])
    # The log's lock decides: whoever writes next sees what became of it.
    verdict = (await near.append([write("account/1", 0, 1)])).verdicts[0]
    assert verdict.status is (Status.CONFLICT if written else Status.WRITTEN)
    assert (await far.append([write("account/2", 0, 1)])).verdicts[0].status is Status.WRITTEN


async def test_an_append_that_is_never_answered_ends_as_open(far: PostgresStore, line: Wire) -> None:
    silence = line.strike(Strike("silent"))
    async with asyncio.timeout(30):
        with pytest.raises(OutcomeUnknown):
            await far.append([write("account/1", 0, 1)])
    silence.release.set()
    assert (await far.append([write("account/1", 0, 1)])).verdicts[0].status is Status.CONFLICT


async def test_an_append_that_does_not_get_to_its_commit_does_not_keep_others_waiting(
    near: PostgresStore, far: PostgresStore, line: Wire
) -> None:
    held = line.strike(Strike("held"))
    late = asyncio.create_task(far.append([write("account/1", 0, 1)]))
    async with asyncio.timeout(20):
        await held.struck.wait()
        while True:  # it may have to wait for the lock longer than its own transaction may take
            try:
                assert (await near.append([write("account/1", 0, 1)])).verdicts[0].status is Status.WRITTEN
                break
            except OutcomeUnknown:
                continue
    held.release.set()
    with pytest.raises(OutcomeUnknown):
        await late


async def test_a_host_that_stops_between_two_statements_of_a_transaction_does_not_keep_others_waiting(
    near: PostgresStore, far: PostgresStore, line: Wire
) -> None:
    held = line.strike(Strike("held", statement="COMMIT"))
    twice = asyncio.create_task(far.append([write("account/1", 0, 1), write("account/1", 1, 1)]))
    async with asyncio.timeout(20):
        await held.struck.wait()
        assert (await near.append([write("account/2", 0, 1)])).verdicts[0].status is Status.WRITTEN
    held.release.set()
    with pytest.raises(OutcomeUnknown):
        await twice
    assert not await near.read_stream("default", "account/1")


async def test_the_kernel_is_asked_whether_the_other_machine_is_still_there(postgres_url: str) -> None:
    connection = await connect(postgres_url, "test")
    try:
        found = connection._transport.get_extra_info("socket")
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
    finally:
        await connection.close(timeout=2.0)
