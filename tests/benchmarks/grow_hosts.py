"""Several hosts on one machine: asks a second altogether, and how long each takes, as their number goes up and down."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import uvloop

from actors import Plugin
from gateway.process import Options, quieten_gc, serve
from gateway.settings import Settings
from infra.postgres import migrate
from tests.benchmarks.bus_ask import Result, elsewhere
from tests.benchmarks.bus_host import account
from tests.benchmarks.log_data import fresh, ratio

SECONDS = 2.0
HOSTS = (1, 2, 3)
TURNS = 3


@asynccontextmanager
async def another(servers: Any, database: str) -> AsyncGenerator[None]:
    """A whole host in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.grow_hosts", database, servers.nats_host_url, servers.nats_relay_url,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def shared(connection: Any, hosts: int) -> None:
    """Wait until that many hosts own all partitions among them, and nothing moved for a second."""
    before: list[Any] = []
    while True:
        owners = await connection.fetch("select partition, owner from thespis.partitions order by partition")
        if owners == before and len({owner for _, owner in owners}) == hosts and all(owner for _, owner in owners):
            return
        before = owners
        await asyncio.sleep(1.0)


async def hosts(servers: Any, emit: Callable[..., None], *, events: int) -> None:
    """64 asks in flight from a process of its own, to 500 actors; the number of hosts goes up and down."""
    results: dict[int, list[Result]] = {n: [] for n in HOSTS}
    async with fresh(servers.postgres_url) as database:
        await migrate(database)
        connection = await asyncpg.connect(database)
        for _ in range(TURNS):
            await _more(servers, database, connection, 1, results)
        await connection.close()
    for count, found in results.items():
        rates = [each.rate for each in found]
        emit(
            case=f"ask end to end, 64 in flight, hosts: {count}",
            rates=rates,
            unit="asks/s",
            p50_ms=round(median(each.p50 for each in found), 2),
            p99_ms=round(median(each.p99 for each in found), 2),
            of_one=ratio(rates, [each.rate for each in results[1]]),
        )


async def _more(servers: Any, database: str, connection: Any, count: int, results: dict[int, list[Result]]) -> None:
    """Measure with `count` hosts, then with one more, and leave again."""
    async with another(servers, database):
        await shared(connection, count)
        await elsewhere(servers.nats_url, 64, 0.5)
        results[count].append(await elsewhere(servers.nats_url, 64, SECONDS))
        if count < len(HOSTS):
            await _more(servers, database, connection, count + 1, results)


GROWTH = [("growth-hosts", hosts)]


if __name__ == "__main__":
    quieten_gc()
    database, nats, relay = sys.argv[1:]
    uvloop.run(serve(Options(database, nats, relay, Plugin(kinds=[account]), Settings(port=0))))
