"""Work on the database is cancelled at any moment: the next user of the connection is not caught in its transaction."""

from __future__ import annotations

import asyncio
from typing import Any

from infra.postgres.connection import Links


async def test_a_cancelled_transaction_is_not_inherited(postgres_url: str):
    links = Links(postgres_url, "test", 1, 10.0)

    async def work(connection: Any) -> None:
        async with connection.transaction():
            await connection.fetchval("select pg_sleep(0.001)")

    async def inherited(connection: Any) -> bool:
        await connection.fetchval("select 1")
        return connection.is_in_transaction()

    try:
        for turns in range(200):
            task = asyncio.create_task(links.run(work))
            for _ in range(turns % 50):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert not await links.run(inherited), f"cancelled after {turns % 50} turns"
    finally:
        await links.close()
