"""The relay: committed events onto JetStream, read from Postgres and handed over, against the raw limit: the same
bytes, made before, published in a pipeline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from events.chain import GENESIS
from events.envelope import Event
from infra.nats import facts
from infra.nats.connection import Connection, JetStreamError, connect
from infra.nats.provision import EV, Retention, facts_config, recreate_stream
from infra.nats.relay import Relay
from infra.postgres import open_store
from tests.benchmarks.log_data import RUNS, fresh, history, quiet, ratio

EVENTS = 40_000
STREAMS = 500
WINDOW = 2048


async def raw(connection: Connection, events: Sequence[Event]) -> float:
    """Events per second of plain pipelined publishing of the same bytes."""
    inbox = connection.client.new_inbox()
    acknowledged = 0
    changed = asyncio.Event()

    def on_ack(subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        nonlocal acknowledged
        assert b'"error"' not in data, data
        acknowledged += 1
        changed.set()

    listening = await connection.listen(inbox, on_ack)
    commands = [facts.publication(event, inbox, 1 << 23) for event in events]
    await recreate_stream(connection, facts_config(Retention()), 1)
    begin = time.perf_counter()
    for start in range(0, len(commands), 256):
        connection.write(b"".join(commands[start : start + 256]))
        while start + 256 - acknowledged >= WINDOW:
            changed.clear()
            await changed.wait()
        await asyncio.sleep(0)
    while acknowledged < len(commands):
        changed.clear()
        await changed.wait()
    rate = len(commands) / (time.perf_counter() - begin)
    await listening.stop()
    return rate


async def relayed(connection: Connection, store: Any, events: Sequence[Event], handed_over: bool) -> float:
    """Events per second through the relay."""
    await recreate_stream(connection, facts_config(Retention()), 1)
    relay = Relay(connection, store, window=WINDOW, refill=10 * EVENTS)
    begin = time.perf_counter()
    if handed_over:
        relay.committed(events)
    await relay.start()
    await relay.reached(events[-1].position)
    rate = len(events) / (time.perf_counter() - begin)
    await relay.stop()
    return rate


async def relay(servers: Any, emit: Callable[..., None]) -> None:
    """All three in turns, on a log of ordinary events."""
    async with fresh(servers.postgres_url) as database, open_store(database) as store:
        connection = await connect(servers.nats_url)
        size = EVENTS // STREAMS
        for first in range(0, STREAMS, 50):
            await store.bulk([history(f"order/{n}", 0, GENESIS, size) for n in range(first, first + 50)])
        events: list[Event] = []
        while len(events) < EVENTS:
            events += await store.read(len(events), 5_000)
        quiet()
        rates: dict[str, list[float]] = {"raw": [], "read": [], "handed over": []}
        for turn in range(RUNS + 1):
            found = {
                "raw": await raw(connection, events),
                "read": await relayed(connection, store, events, handed_over=False),
                "handed over": await relayed(connection, store, events, handed_over=True),
            }
            for name, rate in found.items():
                if turn:
                    rates[name].append(rate)
        with suppress(JetStreamError):
            await connection.jetstream(f"STREAM.DELETE.{EV}")
        await connection.close()
    emit(case="relay, raw pipelined publish of the same bytes", rates=rates["raw"], unit="events/s")
    for name, what in (("read", "read from Postgres"), ("handed over", "handed over in memory")):
        emit(
            case=f"relay to JetStream, {what}",
            rates=rates[name],
            unit="events/s",
            of_raw=ratio(rates[name], rates["raw"]),
            floor=35_000,
        )


CASES = [("bus-relay", relay)]
