"""The servers that the tests stand on."""

from __future__ import annotations

import asyncpg
import nats
import pytest

from tests.servers import Nats, Postgres


@pytest.mark.parametrize("turn", [1, 2])
async def test_every_test_gets_an_empty_database(postgres_url: str, turn: int) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        await connection.execute(f"CREATE TABLE t{turn} (x int)")
    finally:
        await connection.close()


async def test_a_private_postgres_comes_back_after_a_kill_with_what_was_committed(postgres_server: Postgres) -> None:
    connection = await asyncpg.connect(postgres_server.url)
    await connection.execute("CREATE TABLE t AS SELECT 7 AS x")
    await postgres_server.kill()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        await connection.fetchval("SELECT 1")
    connection.terminate()
    url = postgres_server.url
    await postgres_server.restart()
    assert postgres_server.url == url
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT x FROM t") == 7
    assert await connection.fetchval("SHOW synchronous_commit") == "on"
    assert await connection.fetchval("SHOW fsync") == "on"
    await connection.close()


async def test_nats_keeps_streams_over_a_kill_and_loses_them_by_a_wipe(nats_server: Nats) -> None:
    client = await nats.connect(nats_server.url)
    await client.jetstream().add_stream(name="S", subjects=["s.>"])
    await client.close()
    for wipe, streams in ((False, 1), (True, 0)):
        await nats_server.kill()
        if wipe:
            await nats_server.wipe()
        await nats_server.restart()
        client = await nats.connect(nats_server.url)
        assert len(await client.jetstream().streams_info()) == streams
        await client.close()
