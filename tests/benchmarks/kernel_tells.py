"""Tells between actors through the in-memory adapter, and what an actor that waits costs."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec

from actors import Kind, Message, Plugin, Tell
from actors.core.host import Host, wall_clock
from events.ids import random_id
from gateway.process import quieten_gc
from infra.memory.store import MemoryStore

ACTORS = 1_000
HOPS = 60
RUNS = 5
PAIRS = 50
IDLE = 20_000


class Hop(msgspec.Struct, frozen=True):
    left: int


class Hopped(msgspec.Struct, frozen=True):
    left: int


class Volley(msgspec.Struct, frozen=True):
    count: int


class Hops(msgspec.Struct):
    count: int = 0


def decide(state: Hops, message: Message) -> list[Any]:
    if isinstance(message.data, Volley):
        to = f"hop/r{message.to[5:]}"
        return [Hopped(0), *(Tell(to, Hop(0)) for _ in range(message.data.count))]
    left = message.data.left
    if not left:
        return [Hopped(0)]
    nearby = (int(message.to[4:]) + 1) % ACTORS
    return [Hopped(left), Tell(f"hop/{nearby}", Hop(left - 1))]


def evolve(state: Hops, event: Hopped) -> Hops:
    state.count += 1
    return state


hop = Kind(
    "hop", state=Hops, decide=decide, evolve=evolve, messages=[Hop, Volley], events=[Hopped], snapshot_every=10**9
)


def message(host: Host, number: int, left: int) -> Message:
    body = msgspec.json.encode(Hop(left))
    return Message(random_id(), "Hop", f"hop/{number}", "default", body, "user:bench", host.now(), "", "")


async def _everybody(host: Host, left: int) -> None:
    """Every actor gets a message and passes it on `left` times; returns when all are handled."""
    target = host.handled + ACTORS * (left + 1)
    await asyncio.gather(*(host.ask(message(host, n, left)) for n in range(ACTORS)))
    while host.handled < target:
        await asyncio.sleep(0)


async def _volleys(host: Host, count: int) -> None:
    """Each of 50 actors sends `count` tells to another one, ten times over; returns when all are handled."""
    target = host.handled + 10 * PAIRS * (count + 1)
    body = msgspec.json.encode(Volley(count))
    for _ in range(10):
        volley = (
            Message(random_id(), "Volley", f"hop/s{n}", "default", body, "user:bench", host.now(), "", "")
            for n in range(PAIRS)
        )
        await asyncio.gather(*(host.ask(one) for one in volley))
    while host.handled < target:
        await asyncio.sleep(0)


async def tells(servers: Any, emit: Callable[..., None]) -> None:
    """50 senders and 50 receivers: each tell is recorded, kept in the mailbox, decided, chained and consumed."""
    quieten_gc()
    rates: list[float] = []
    for run in range(RUNS + 1):
        host = Host(MemoryStore(now=wall_clock), Plugin(kinds=[hop]))
        await host.start()
        await _volleys(host, 0)
        begin = time.perf_counter()
        await _volleys(host, 100)
        if run:
            rates.append(10 * PAIRS * 101 / (time.perf_counter() - begin))
        await host.stop()
        del host
        gc.collect()
    emit(case="tell, in-memory adapter", rates=rates, unit="tells/s", floor=100_000)


async def hops(servers: Any, emit: Callable[..., None]) -> None:
    """1,000 chains at once, hop by hop: the least that can share an append, as every tell waits for the one before."""
    quieten_gc()
    rates: list[float] = []
    for run in range(RUNS + 1):
        host = Host(MemoryStore(now=wall_clock), Plugin(kinds=[hop]))
        await host.start()
        await _everybody(host, 0)
        begin = time.perf_counter()
        await _everybody(host, HOPS)
        if run:
            rates.append(ACTORS * (HOPS + 1) / (time.perf_counter() - begin))
        await host.stop()
        del host
        gc.collect()
    emit(case="tell, in-memory adapter, one at a time per actor", rates=rates, unit="tells/s")


async def idle(servers: Any, emit: Callable[..., None]) -> None:
    """Bytes of an activated actor that waits, above its own state; and of one that left memory."""
    host = Host(MemoryStore(now=wall_clock), Plugin(kinds=[hop]))
    await host.start()
    for start in range(0, IDLE, 1_000):
        await asyncio.gather(*(host.ask(message(host, n, 0)) for n in range(start, start + 1_000)))
    cells = host.cells["default"]
    cells.clear()
    states = tracemalloc_of(lambda: [Hops(1) for _ in range(IDLE)])
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for start in range(0, IDLE, 1_000):
        await asyncio.gather(*(host.ask(message(host, n, 0)) for n in range(start, start + 1_000)))
    assert len(cells) == IDLE
    gc.collect()
    with_cells = tracemalloc.get_traced_memory()[0] - before
    cells.clear()
    gc.collect()
    without = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    await host.stop()
    emit(case="idle activated actor, above its state", value=(with_cells - without - states) / IDLE, unit="bytes")


def tracemalloc_of(make: Callable[[], Any]) -> int:
    """Bytes that what `make` returns takes."""
    tracemalloc.start()
    kept = make()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return size


CASES = [("tell-memory", tells), ("tell-memory-hops", hops), ("actor-idle", idle)]
