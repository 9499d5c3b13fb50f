"""Activation: 100 events interleaved among streams, one stream at a time and several at once; snapshot and 5 events.

The peer loads aggregates of 100 events through its repository.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import asyncpg
import msgspec

from events.chain import GENESIS
from events.ids import random_id
from events.registry import Registry
from events.store import Append, NewEvent, Snapshot
from infra.postgres import PostgresStore, open_store
from tests.benchmarks.log_data import DATA, RUNS, LineAdded, fresh, off_loop, peer, quiet, ratio

STREAMS = 2_000
EVENTS = 100
SECONDS = 1.0
PEER_AGGREGATES = 300
TASKS, KEYS = 4, 32
FOLD = "bench-fold"


class State(msgspec.Struct):
    """What an order with 20 lines would keep."""

    id: str
    total: int
    lines: dict[str, int]


STATE = msgspec.json.encode(State("order", 12, {f"sku-{n}": n for n in range(20)}))
_state = msgspec.json.Decoder(State).decode


async def fill(store: PostgresStore) -> None:
    """Every stream gets its n-th event before any gets its n+1-th."""
    cause = random_id()

    def one(stream: str, version: int, number: int) -> Append:
        id = f"{cause[:-8]}{number:08x}"
        return Append("default", stream, 0, None, version, [NewEvent(id, "LineAdded", 1, DATA, cause, cause, GENESIS)])

    for version in range(EVENTS):
        for start in range(0, STREAMS, 1000):
            numbers = range(start, start + 1000)
            await store.bulk([one(f"order/{n:06}", version, version * STREAMS + n) for n in numbers])
    await store.save_snapshots([Snapshot("default", f"snap/{n:06}", 95, FOLD, STATE) for n in range(STREAMS)])


def keys(kind: str) -> Iterator[tuple[str, str, str]]:
    """Streams in an order that is no order."""
    return (("default", f"{kind}/{n * 7919 % STREAMS:06}", FOLD) for n in count())


async def activated(store: PostgresStore, registry: Registry, kind: str, tasks: int, at_once: int) -> float:
    """Actors per second: loaded, and every event and snapshot decoded."""
    decoder = registry.decoder
    names = keys(kind)
    begin = time.perf_counter()
    done = 0

    async def load() -> None:
        nonlocal done
        while time.perf_counter() < begin + SECONDS:
            for loaded in await store.load([next(names) for _ in range(at_once)]):
                total = 0
                if loaded.snapshot is not None:
                    total = _state(loaded.snapshot.state).total
                for _, type, schema, data in loaded.events:
                    decode = decoder(type, schema)
                    if decode is not None:
                        total += decode(data).qty
                assert loaded.version == EVENTS
                done += 1

    await asyncio.gather(*(load() for _ in range(tasks)))
    return done / (time.perf_counter() - begin)


def peer_fill(app: Any) -> list[Any]:
    """Aggregates of as many events."""
    from eventsourcing.domain import Aggregate, event

    class Order(Aggregate):
        @event("LineAdded")
        def add(self, sku: str, qty: int, note: str) -> None:
            self.sku = sku

    ids: list[Any] = []
    for _ in range(PEER_AGGREGATES):
        order = Order()
        for _ in range(EVENTS - 1):
            order.add(sku="sku-99-abcdef-0001", qty=3, note="please leave it at the back door of the house" * 3)
        app.save(order)
        ids.append(order.id)
    return ids


def peer_load(app: Any, ids: list[Any]) -> float:
    """Aggregates per second."""
    begin = time.perf_counter()
    for id in ids:
        app.repository.get(id)
    return len(ids) / (time.perf_counter() - begin)


async def run(dsn: str, emit: Callable[..., None]) -> None:
    """All cases, in a database of their own."""
    registry = Registry([LineAdded])
    cases = {
        "100 events, one at a time": ("order", 1, 1, 2_500),
        "100 events, concurrent": ("order", TASKS, KEYS, 5_000),
        "snapshot + 5 events, one at a time": ("snap", 1, 1, None),
        "snapshot + 5 events, concurrent": ("snap", TASKS, KEYS, 10_000),
    }
    async with fresh(dsn) as database, open_store(database) as store:
        quiet()
        await fill(store)
        connection = await asyncpg.connect(database)
        await connection.execute(
            """
            insert into thespis.events
            select position + (select max(position) from thespis.events), tenant, 'snap' || substr(stream, 6), version,
                   id, type, schema, data, causation, correlation, epoch, recorded_at, trace, meta, hash, blob
              from thespis.events order by position"""
        )
        await connection.execute("vacuum analyze thespis.events")
        await connection.close()
        with peer(database) as app:
            ids = peer_fill(app)
            rates: dict[str, list[float]] = {case: [] for case in (*cases, "peer")}
            for turn in range(RUNS + 1):
                for case, (kind, tasks, at_once, _) in cases.items():
                    rate = await activated(store, registry, kind, tasks, at_once)
                    if turn:
                        rates[case].append(rate)
                rates["peer"].append(await off_loop(peer_load, app, ids))
    for case, values in rates.items():
        extra: dict[str, Any] = {}
        if case != "peer":
            extra = {"floor": cases[case][3], "of_peer": ratio(values, rates["peer"])}
        emit(case=f"activate, {case}", rates=values, unit="actors/s", **extra)


async def activate(servers: Any, emit: Callable[..., None]) -> None:
    """The entry of `scripts/bench`."""
    await run(servers.postgres_url, emit)


CASES = [("log-activate", activate)]
