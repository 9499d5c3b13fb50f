"""Our persistence module for the library `eventsourcing` against the library's own Postgres recorder, in turns: the
same application code over either, only the environment differs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from tests.benchmarks.log_data import fresh, off_loop, peer_environment, peer_saves, ratio

RUNS = 3
SECONDS = 2.0
SAVES = ((1, 1), (1, 8), (1, 32), (100, 4))
"""(events of a save, threads)."""
PAGE = 1000
EVENTS = 50_000

Emit = Callable[..., None]


@contextmanager
def application(environment: dict[str, str]) -> Any:
    """An application of the library on a persistence module."""
    from eventsourcing.application import Application

    with Application(env=environment) as app:
        yield app


def module(dsn: str) -> dict[str, str]:
    """The environment for this log."""
    return {"PERSISTENCE_MODULE": "infra.eventsourcing", "DATABASE_URL": dsn}


def report(emit: Emit, case: str, rates: dict[str, list[float]], **extra: Any) -> None:
    """One line for each of both."""
    emit(case=f"{case}, module", rates=rates["module"], unit="events/s", of_peer=ratio(*rates.values()), **extra)
    emit(case=f"{case}, peer", rates=rates["peer"], unit="events/s", **extra)


def paged(app: Any) -> float:
    """Notifications per second of a reader who pages through everything."""
    begin, last, count = time.perf_counter(), 0, 0
    while page := app.recorder.select_notifications(last, PAGE, inclusive_of_start=False):
        last = page[-1].id
        count += len(page)
    return count / (time.perf_counter() - begin)


async def saves(servers: Any, emit: Emit) -> None:
    """Threads that save to aggregates of their own, one after the other."""
    async with fresh(servers.postgres_url) as one, fresh(servers.postgres_url) as two:
        with application(module(one)) as ours, application(peer_environment(two)) as peer:
            for events, threads in SAVES:
                rates: dict[str, list[float]] = {"module": [], "peer": []}
                for turn in range(RUNS + 1):
                    for name, app in (("module", ours), ("peer", peer)):
                        rate = await off_loop(peer_saves, app, events, threads, SECONDS if turn else 0.5)
                        if turn:
                            rates[name].append(rate)
                report(emit, f"eventsourcing, saves of {events}", rates, threads=threads)


async def notifications(servers: Any, emit: Emit) -> None:
    """All notifications of an application, a thousand at a time."""
    rates: dict[str, list[float]] = {"module": [], "peer": []}
    async with fresh(servers.postgres_url) as one, fresh(servers.postgres_url) as two:
        with application(module(one)) as ours, application(peer_environment(two)) as peer:
            for app in (ours, peer):
                while (app.recorder.max_notification_id() or 0) < EVENTS:
                    await off_loop(peer_saves, app, 500, 2, 0.5)
            for _ in range(RUNS):
                rates["module"].append(await off_loop(paged, ours))
                rates["peer"].append(await off_loop(paged, peer))
    report(emit, "eventsourcing, notifications", rates)


CASES = [("es-saves", saves), ("es-notifications", notifications)]
