"""What the benchmarks of the log share: a database of their own, events of ordinary size, the peer."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import asyncpg
import msgspec

from events.chain import link
from events.ids import random_id
from events.store import Append, NewEvent

RUNS = 5
_names = count(1)


class LineAdded(msgspec.Struct, frozen=True):
    """An event of about 250 bytes of JSON."""

    order: str
    sku: str
    qty: int
    price: float
    note: str
    tags: list[str]
    at: float


LINE = LineAdded(
    "order-000000012345", "sku-99-abcdef-0001", 3, 19.95,
    "please leave it at the back door of the house, and ring twice; thank you very much",
    ["gift", "fragile", "express"], 1.7e9,
)  # fmt: skip
DATA = msgspec.json.encode(LINE)


@asynccontextmanager
async def fresh(url: str) -> AsyncGenerator[str]:
    """A database that exists as long as this is open."""
    name = f"log_bench_{os.getpid()}_{next(_names)}"
    admin = await asyncpg.connect(url)
    try:
        await admin.execute(f"create database {name}")
        try:
            yield urlsplit(url)._replace(path=f"/{name}").geturl()
        finally:
            await admin.execute(f"drop database {name} with (force)")
    finally:
        await admin.close()


def history(stream: str, expected: int, previous: bytes, size: int) -> Append:
    """An import of `size` chained events to one stream."""
    events: list[NewEvent] = []
    cause = random_id()
    for version in range(expected + 1, expected + size + 1):
        id = f"{cause[:-6]}{version:06x}"
        previous = link(previous, "default", stream, version, id, "LineAdded", 1, cause, DATA)
        events.append(NewEvent(id, "LineAdded", 1, DATA, cause, cause, previous))
    return Append("default", stream, 0, None, expected, events)


def peer_environment(dsn: str) -> dict[str, str]:
    """Where the `eventsourcing` library finds the database; everything else as it comes."""
    parts = urlsplit(dsn)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts.path[1:],
        "POSTGRES_HOST": parts.hostname or dict(p.split("=", 1) for p in parts.query.split("&"))["host"],
        "POSTGRES_PORT": str(parts.port or dict(p.split("=", 1) for p in parts.query.split("&")).get("port", 5432)),
        "POSTGRES_USER": unquote(parts.username or "postgres"),
        "POSTGRES_PASSWORD": unquote(parts.password or "none"),
        "POSTGRES_POOL_SIZE": "20",
    }


@contextmanager
def peer(dsn: str) -> Any:
    """The peer's application."""
    from eventsourcing.application import Application

    app = Application(env=peer_environment(dsn))
    try:
        yield app
    finally:
        app.close()


def in_threads(work: Callable[[float], int], threads: int, seconds: float) -> float:
    """Events per second of `work(until)`, which returns how many it did, in that many threads."""
    done = [0] * threads
    begin = time.perf_counter()

    def run(n: int) -> None:
        done[n] = work(begin + seconds)

    running = [threading.Thread(target=run, args=(n,)) for n in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(done) / (time.perf_counter() - begin)


def peer_saves(app: Any, events: int, threads: int, seconds: float) -> float:
    """Events per second of the peer's recorder, `events` at a time to new and growing aggregates."""
    from eventsourcing.persistence import StoredEvent

    def work(until: float) -> int:
        id, version = uuid4(), 0
        while time.perf_counter() < until:
            stored = [StoredEvent(id, version + n + 1, "bench:Order.LineAdded", DATA) for n in range(events)]
            app.recorder.insert_events(stored)
            version += events
        return version

    return in_threads(work, threads, seconds)


async def off_loop(work: Callable[..., float], *args: Any) -> float:
    """Run blocking work aside."""
    return await asyncio.to_thread(work, *args)


def ratio(ours: Sequence[float], other: Sequence[float]) -> float:
    """The median of ours over the median of another, of the same run."""
    return round(statistics.median(ours) / statistics.median(other), 2)


def quiet() -> None:
    """As in a host: cycles are looked for rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
