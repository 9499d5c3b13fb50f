"""Import: many events at once, hash chain and all, against COPY at the same batch and against the peer, in
turns; ours and the peer each at their best number of batches at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg

from events.chain import GENESIS
from events.store import Status
from infra.postgres import PostgresStore, open_store
from tests.benchmarks.log_data import DATA, RUNS, fresh, history, off_loop, peer, peer_saves, quiet, ratio

BATCHES = (100, 1000)
SECONDS = 1.5
IN_FLIGHT = (2, 8, 16, 32)
TABLE = """
create table bare (
  position bigint generated always as identity primary key, stream text not null, version int not null,
  type text not null, data bytea not null, metadata bytea not null, unique (stream, version))"""
COLUMNS = ("stream", "version", "type", "data", "metadata")
META = b"m" * 60


async def ours(store: PostgresStore, size: int, in_flight: int, seconds: float) -> float:
    """Events per second, made, chained and written; some batches are made while others are under way."""
    done, begin = 0, time.perf_counter()

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < begin + seconds:
            appended = await store.bulk([history(f"bulk/{uuid4()}", 0, GENESIS, size)])
            assert appended.verdicts[0].status == Status.WRITTEN
            done += size

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return done / (time.perf_counter() - begin)


async def copied(connection: asyncpg.Connection, size: int, seconds: float) -> float:
    """Rows per second by bare COPY."""
    done, begin = 0, time.perf_counter()
    while time.perf_counter() < begin + seconds:
        stream = f"bulk/{uuid4()}"
        rows = [(stream, n, "LineAdded", DATA, META) for n in range(size)]
        await connection.copy_records_to_table("bare", records=rows, columns=COLUMNS)
        done += size
    return done / (time.perf_counter() - begin)


async def run(dsn: str, emit: Callable[..., None]) -> None:
    """All cases, in a database of their own."""
    async with fresh(dsn) as database, open_store(database) as store:
        quiet()
        connection = await asyncpg.connect(database)
        await connection.execute(TABLE)
        with peer(database) as app:
            for size in BATCHES:
                threads = max((1, 2, 4, 8), key=lambda n: peer_saves(app, size, n, 0.5))
                trials = {n: await ours(store, size, n, 0.7) for n in IN_FLIGHT}
                in_flight = max(trials, key=lambda n: trials[n])
                rates: dict[str, list[float]] = {"ours": [], "COPY": [], "peer": []}
                for _ in range(RUNS):
                    rates["COPY"].append(await copied(connection, size, SECONDS))
                    rates["ours"].append(await ours(store, size, in_flight, SECONDS))
                    rates["peer"].append(await off_loop(peer_saves, app, size, threads, SECONDS))
                for kind, values in rates.items():
                    extra: dict[str, Any] = {"threads": threads} if kind == "peer" else {}
                    if kind == "ours":
                        extra["in_flight"] = in_flight
                        extra["of_copy"] = ratio(values, rates["COPY"])
                        extra["of_peer"] = ratio(values, rates["peer"])
                        extra["floor"] = "0.4 of COPY, 3 × peer"
                    emit(case=f"bulk append of {size}, {kind}", rates=values, unit="events/s", batch=size, **extra)
        await connection.close()


async def bulk(servers: Any, emit: Callable[..., None]) -> None:
    """The entry of `scripts/bench`."""
    await run(servers.postgres_url, emit)


CASES = [("log-bulk", bulk)]
