"""Reading the whole log: full envelopes and typed data, against bare pages and against the peer, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg

from events.chain import GENESIS
from events.registry import Registry
from infra.postgres import PostgresStore, open_store
from tests.benchmarks.log_data import RUNS, LineAdded, fresh, history, off_loop, peer, peer_environment, quiet, ratio

EVENTS = 300_000
PEER_EVENTS = 50_000
PAGE = 2_000
BARE = """
select position, tenant, stream, version, id, type, schema, data, causation, correlation, epoch, recorded_at, trace,
       meta, hash
  from thespis.events where position > $1 order by position limit $2"""


async def typed(store: PostgresStore, registry: Registry) -> float:
    """Events per second as `Event` with its data decoded."""
    begin = time.perf_counter()
    position = total = 0
    decoder = registry.decoder
    while page := await store.read(position, PAGE):
        for event in page:
            decode = decoder(event.type, event.schema)
            if decode is not None:
                total += decode(event.data).qty
        position = page[-1].position
    assert position == EVENTS
    assert total == 3 * EVENTS
    return EVENTS / (time.perf_counter() - begin)


async def bare(connection: asyncpg.Connection) -> float:
    """Rows per second of the same columns, not looked at."""
    statement = await connection.prepare(BARE)
    begin = time.perf_counter()
    position = 0
    while rows := await statement.fetch(position, PAGE):
        position = rows[-1][0]
    return EVENTS / (time.perf_counter() - begin)


def peer_fill(app: Any) -> None:
    """As many ordinary domain events of the peer's."""
    from eventsourcing.domain import Aggregate, event

    class Order(Aggregate):
        @event("LineAdded")
        def add(self, sku: str, qty: int, note: str) -> None:
            self.sku = sku

    for _ in range(PEER_EVENTS // 1000):
        order = Order()
        for _ in range(999):
            order.add(sku="sku-99-abcdef-0001", qty=3, note="please leave it at the back door of the house" * 3)
        app.save(order)


def peer_read(app: Any) -> float:
    """Events per second by the peer, as domain events."""
    begin = time.perf_counter()
    position = 0
    while page := app.recorder.select_notifications(start=position, limit=PAGE, inclusive_of_start=False):
        for notification in page:
            app.mapper.to_domain_event(notification)
        position = page[-1].id
    return PEER_EVENTS / (time.perf_counter() - begin)


async def run(dsn: str, emit: Callable[..., None]) -> None:
    """All cases, in a database of their own."""
    registry = Registry([LineAdded])
    async with fresh(dsn) as database, open_store(database) as store:
        quiet()
        for _ in range(EVENTS // 10_000):
            await store.bulk([history(f"order/{uuid4()}", 0, GENESIS, 1000) for _ in range(10)])
        connection = await asyncpg.connect(database)
        await connection.execute("vacuum analyze thespis.events")
        assert peer_environment(database)
        with peer(database) as app:
            await off_loop(lambda: peer_fill(app) or 0.0)
            rates: dict[str, list[float]] = {"typed": [], "bare pages": [], "peer": []}
            await typed(store, registry)
            for _ in range(RUNS):
                rates["bare pages"].append(await bare(connection))
                rates["typed"].append(await typed(store, registry))
                rates["peer"].append(await off_loop(peer_read, app))
        await connection.close()
    for kind, values in rates.items():
        extra: dict[str, Any] = {}
        if kind == "typed":
            extra = {"of_bare": ratio(values, rates["bare pages"]), "of_peer": ratio(values, rates["peer"])}
            extra["floor"] = "350,000/s, 4 × peer"
        emit(case=f"read the whole log, {kind}", rates=values, unit="events/s", page=PAGE, **extra)


async def read(servers: Any, emit: Callable[..., None]) -> None:
    """The entry of `scripts/bench`."""
    await run(servers.postgres_url, emit)


CASES = [("log-read", read)]
