"""Several hosts on one machine: asks a second altogether, and how long each takes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
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
from tests.benchmarks.log_data import fresh

SECONDS = 2.5
WARM = 1.0
HOSTS = (1, 2, 3)
IN_FLIGHT = (64, 512)
"""So many that a host alone still waits now and then, and enough to keep both processors busy."""
TURNS = 5


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
    """Asks from a process of its own to 500 actors, so many in flight; each number of hosts on a log of its own.

    A log that is longer takes more work, so that whoever came last on a common one would look slow.
    """
    results: dict[tuple[int, int], list[Result]] = {(n, flying): [] for flying in IN_FLIGHT for n in HOSTS}
    for turn in range(TURNS):
        for count in (*HOSTS[turn % len(HOSTS) :], *HOSTS[: turn % len(HOSTS)]):
            for flying, result in (await _measured(servers, count)).items():
                results[count, flying].append(result)
    for (count, flying), found in results.items():
        of_one = [each.rate / one.rate for each, one in zip(found, results[1, flying], strict=True)]
        emit(
            case=f"ask end to end, {flying} in flight, hosts: {count}",
            rates=[each.rate for each in found],
            unit="asks/s",
            p50_ms=round(median(each.p50 for each in found), 2),
            p99_ms=round(median(each.p99 for each in found), 2),
            of_one=round(median(of_one), 2),
            of_one_from=round(min(of_one), 2),
            of_one_to=round(max(of_one), 2),
        )


async def _measured(servers: Any, count: int) -> dict[int, Result]:
    """What so many hosts do with each number in flight, from an empty log on."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(fresh(servers.postgres_url))
        await migrate(database)
        connection = await asyncpg.connect(database)
        stack.push_async_callback(connection.close)
        for _ in range(count):
            await stack.enter_async_context(another(servers, database))
        await shared(connection, count)
        await elsewhere(servers.nats_url, IN_FLIGHT[0], WARM)
        return {flying: await elsewhere(servers.nats_url, flying, SECONDS) for flying in IN_FLIGHT}


GROWTH = [("growth-hosts", hosts)]


if __name__ == "__main__":
    quieten_gc()
    database, nats, relay = sys.argv[1:]
    uvloop.run(serve(Options(database, nats, relay, Plugin(kinds=[account]), Settings(port=0))))
