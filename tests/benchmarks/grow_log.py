"""A log that has become long: ten events for each of very many accounts, imported in two rounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from events.address import partition_of
from events.chain import GENESIS, link
from events.store import Append, NewEvent, Status
from infra.postgres import PostgresStore, open_store
from tests.benchmarks.bus_host import Deposited
from tests.benchmarks.log_data import fresh

SMALL = 100_000
PER_STREAM = 10
ROUNDS = 2
STREAMS_AT_ONCE = 200
IN_FLIGHT = 8
DATA = msgspec.json.encode(Deposited(1, "n" * 120))


class Log(msgspec.Struct):
    """A filled database and a store on it; accounts are `account/0` … `account/<streams - 1>`."""

    database: str
    store: PostgresStore
    events: int
    streams: int

    def account(self, n: int) -> str:
        """Accounts in an order that is no order."""
        return f"account/{n * 7919 % self.streams}"


@asynccontextmanager
async def grown(url: str, events: int) -> AsyncGenerator[tuple[Log, float]]:
    """A log of that many events, and how many per second went in."""
    async with fresh(url) as database, open_store(database) as store:
        streams = events // PER_STREAM
        begin = time.perf_counter()
        await fill(store, streams)
        rate = events / (time.perf_counter() - begin)
        connection: Any = await asyncpg.connect(database)
        await connection.execute("vacuum (analyze) thespis.events")
        await connection.execute("checkpoint")
        await connection.close()
        yield Log(database, store, events, streams), rate


async def fill(store: PostgresStore, streams: int) -> None:
    """Each stream gets its first events before any gets its last."""
    heads = [GENESIS] * streams
    size = PER_STREAM // ROUNDS
    room = asyncio.Semaphore(IN_FLIGHT)

    async def write(appends: list[Append]) -> None:
        try:
            done = await store.bulk(appends)
            assert all(v.status is Status.WRITTEN for v in done.verdicts)
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        for round in range(ROUNDS):
            for start in range(0, streams, STREAMS_AT_ONCE):
                numbers = range(start, min(start + STREAMS_AT_ONCE, streams))
                await room.acquire()
                group.create_task(write([_some(n, round * size, size, heads) for n in numbers]))


def _some(number: int, expected: int, size: int, heads: list[bytes]) -> Append:
    stream = f"account/{number}"
    previous = heads[number]
    cause = f"01900000-0000-7000-8000-{number:012x}"
    events: list[NewEvent] = []
    for version in range(expected + 1, expected + size + 1):
        id = f"01900000-0000-7001-{0x8000 + version:04x}-{number:012x}"
        previous = link(previous, "default", stream, version, id, "Deposited", 1, cause, DATA)
        events.append(NewEvent(id, "Deposited", 1, DATA, cause, cause, previous))
    heads[number] = previous
    return Append("default", stream, partition_of("default", stream), None, expected, events)
