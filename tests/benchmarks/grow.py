"""`scripts/bench --grow`: what becomes of everything when the log has become long."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from events.envelope import Event
from tests.benchmarks.grow_host import memory, timers
from tests.benchmarks.grow_log import SMALL, Log, grown
from tests.benchmarks.grow_rates import page, projections, rates
from tests.benchmarks.log_data import quiet

ARCHIVED = 0.2
"""The part of the log that moves to the archive."""


async def grow(servers: Any, emit: Callable[..., None], *, events: int) -> None:
    """Both logs are filled once; whatever changes them comes last."""
    async with AsyncExitStack() as stack:
        small, _ = await stack.enter_async_context(grown(servers.postgres_url, SMALL))
        large, imported = await stack.enter_async_context(grown(servers.postgres_url, events))
        emit(case=f"import of {events:,} events in {large.streams:,} streams", rates=[imported], unit="events/s")
        quiet()
        await rates(servers, emit, small, large)
        await memory(emit, large)
        await timers(emit, large)
        await projections(emit, small, large)
        await archive(emit, large)


async def archive(emit: Callable[..., None], log: Log) -> None:
    """Old positions move to the archive; what readers see stays the same, bit for bit."""
    upto = int(log.events * ARCHIVED)
    sample = [upto * n // 20 for n in range(20)]
    before = [await log.store.read(at, 500) for at in sample]
    whole = [await log.store.read_stream("default", log.account(n)) for n in range(200)]
    pages = await page(log, 1, upto)
    begin = time.perf_counter()
    moved = await log.store.archive(upto)
    rate = moved / (time.perf_counter() - begin)
    after: list[list[Event]] = [await log.store.read(at, 500) for at in sample]
    assert after == before
    assert whole == [await log.store.read_stream("default", log.account(n)) for n in range(200)]
    emit(case=f"archive of the oldest {moved:,} events", rates=[rate], unit="events/s", reads_unchanged=True)
    emit(case="read pages, before they were archived", rates=[pages], unit="events/s")
    emit(case="read pages, archived", rates=[await page(log, 1, upto)], unit="events/s")


GROWTH = [("growth", grow)]
