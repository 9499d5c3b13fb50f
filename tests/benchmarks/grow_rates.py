"""What a long log costs: append, ask, activation, replay and projections on a log of 100,000 events and on one that has
become long, in turns."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from statistics import median
from typing import Any

from actors.core.appender import Appender
from events.address import partition_of
from events.chain import link
from events.ids import derived, digest, random_id
from events.store import Append, Appended, Handled, NewEvent, Status, Verdict
from gateway.cli.verifying import verify
from infra.postgres import PostgresStore
from infra.postgres.projections import open_read_models
from projections import PROJECTIONS, Projector
from tests.benchmarks.bus_ask import Result, elsewhere
from tests.benchmarks.bus_host import BODY, account, hosting
from tests.benchmarks.grow_log import DATA, PER_STREAM, SMALL, Log
from tests.benchmarks.log_data import ratio

RUNS = 3
SECONDS = 2.0
SUBMITTERS = 64
TAIL = 20_000
FLOOR = "0.7 of the rate at 100,000 events"


async def append(log: Log, turn: int) -> float:
    """Appends per second by 64 submitters, full path, each to another existing stream every time."""
    picked = random.Random(turn).sample(range(log.streams), min(log.streams, 10_000))
    heads: list[tuple[str, int, bytes]] = []
    for start in range(0, len(picked), 500):
        names = [f"account/{n}" for n in picked[start : start + 500]]
        found = await log.store.load([("default", name, "") for name in names])
        heads += [(name, each.version, each.hash) for name, each in zip(names, found, strict=True)]
    await log.store.join(host := random_id(), 3600, b"")
    epochs = await log.store.claim(host, range(64))
    appender = Appender(log.store)
    appender.start()
    left = iter(heads)
    running = SUBMITTERS
    finished = asyncio.Event()

    def go() -> None:
        nonlocal running
        head = next(left, None)
        if head is None:
            running -= 1
            if not running:
                finished.set()
            return
        stream, version, previous = head
        message, now = random_id(), time.time_ns() // 1000
        id = f"{derived(stream, message, now)}0000"
        hash = link(previous, "default", stream, version + 1, id, "Deposited", 1, message, DATA)
        event = NewEvent(id, "Deposited", 1, DATA, message, message, hash)
        handled = Handled(message, digest("Deposit", BODY), "Deposit", 1, BODY, "user:bench", now, message, message)
        partition = partition_of("default", stream)
        one = Append("default", stream, partition, epochs[partition], version, [event], [handled])
        appender.submit(one, on_verdict)

    def on_verdict(verdict: Verdict | Exception, appended: Appended | None) -> None:
        assert isinstance(verdict, Verdict), verdict
        assert verdict.status == Status.WRITTEN, verdict
        go()

    begin = time.perf_counter()
    for _ in range(SUBMITTERS):
        go()
    await finished.wait()
    rate = len(heads) / (time.perf_counter() - begin)
    await appender.stop()
    await log.store.leave(host)
    return rate


async def activate(log: Log, turn: int, tasks: int, at_once: int) -> float:
    """Actors per second, snapshotless, ten events or a few more each."""
    names = iter(log.account(turn * 100_000 + n) for n in range(10**9))
    done, begin = 0, time.perf_counter()

    async def load() -> None:
        nonlocal done
        while time.perf_counter() < begin + SECONDS:
            for loaded in await log.store.load([("default", next(names), "x") for _ in range(at_once)]):
                assert loaded.version >= PER_STREAM
                done += 1

    await asyncio.gather(*(load() for _ in range(tasks)))
    return done / (time.perf_counter() - begin)


class _Some:
    """A store with only the first streams."""

    def __init__(self, store: PostgresStore, count: int) -> None:
        self._store = store
        self._count = count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def streams(self, tenant: str | None = None) -> AsyncIterator[tuple[str, str, int]]:
        left = self._count
        async for stream in self._store.streams(tenant):
            if not left:
                return
            left -= 1
            yield stream


async def replay(log: Log, turn: int) -> float:
    """Events per second refolded and compared, of the first 3,000 streams."""
    some: Any = _Some(log.store, 3_000)
    begin = time.perf_counter()
    verified = await verify(some, {"account": account})
    assert verified.well, verified.divergences
    assert verified.streams == min(3_000, log.streams)
    return verified.events / (time.perf_counter() - begin)


async def page(log: Log, turn: int, upto: int | None = None) -> float:
    """Events per second of pages read from somewhere in the log, or before a position."""
    count = min(SMALL, upto or SMALL)
    at = random.Random(turn).randrange((upto or log.events) - count + 1)
    begin, done = time.perf_counter(), 0
    while done < count:
        found = await log.store.read(at + done, min(2_000, count - done))
        done += len(found)
    return done / (time.perf_counter() - begin)


async def ask(log: Log, servers: Any, accounts: int) -> Result:
    """Asks per second through NATS at 64 in flight, p50 and p99, of so many accounts."""
    async with hosting(servers, log.database, refill=1_000):
        if accounts < log.streams:  # the few that are asked again and again are in memory then
            await elsewhere(servers.nats_url, 64, 0.5, accounts=accounts)
        return await elsewhere(servers.nats_url, 64, SECONDS, accounts=accounts)


async def projected(log: Log, name: str, turn: int) -> float:
    """Events per second until a projection has the whole log (turn 0), or the next 20,000 events."""
    before = await log.store.head() if turn else 0
    if turn:
        await _more(log, turn)
    head = await log.store.head()
    async with open_read_models(log.database) as (source, models):
        projector = Projector([p for p in PROJECTIONS if p.name == name], source, models)
        begin = time.perf_counter()
        await projector.start()
        await projector.wait(name, head, 3600)
        rate = (head - before) / (time.perf_counter() - begin)
        await projector.stop()
    return rate


async def _more(log: Log, turn: int) -> None:
    """Another 20,000 events, one to each of as many streams (or several, where there are fewer)."""
    for start in range(0, TAIL, 1_000):
        names = [log.account(turn * TAIL + start + n) for n in range(1_000)]
        found = await log.store.load([("default", name, "") for name in names])
        appends: list[Append] = []
        for name, head in zip(names, found, strict=True):
            cause = random_id()
            hash = link(head.hash, "default", name, head.version + 1, cause, "Deposited", 1, cause, DATA)
            new = NewEvent(cause, "Deposited", 1, DATA, cause, cause, hash)
            appends.append(Append("default", name, partition_of("default", name), None, head.version, [new]))
        done = await log.store.bulk(appends)
        assert not any(v.status for v in done.verdicts)


async def rates(servers: Any, emit: Callable[..., None], small: Log, large: Log) -> None:
    """Everything on both logs, in turns."""
    for name, work in _cases():
        both: tuple[list[float], list[float]] = ([], [])
        for turn in range(RUNS + 1):
            for log, into in zip((small, large), both, strict=True):
                rate = await work(log, turn)
                if turn:
                    into.append(rate)
        _report(emit, name, large, *both)
    for name, few in (("ask, 500 actors", True), ("ask, any actor", False)):
        found: tuple[list[Result], list[Result]] = ([], [])
        for _ in range(RUNS):
            for log, into in zip((small, large), found, strict=True):
                into.append(await ask(log, servers, 500 if few else log.streams))
        late = {
            f"{percentile}_ms": [round(median(getattr(each, percentile) for each in some), 1) for some in found]
            for percentile in ("p50", "p99")
        }
        _report(emit, name, large, *([each.rate for each in some] for some in found), **late)


async def projections(emit: Callable[..., None], small: Log, large: Log) -> None:
    """Catching up with both logs, then with the next 20,000 events in turns."""
    for name in ("throughput", "events", "actors"):
        both: dict[str, tuple[list[float], list[float]]] = {}
        for turn in range(RUNS + 1):
            what = "the last 20,000" if turn else "from the first event"
            for n, log in enumerate((small, large)):
                both.setdefault(what, ([], []))[n].append(await projected(log, name, turn))
        for what, (before, after) in both.items():
            _report(emit, f"projection {name}, {what}", large, before, after)


def _report(
    emit: Callable[..., None], name: str, large: Log, before: list[float], after: list[float], **more: Any
) -> None:
    emit(case=f"{name}, {SMALL:,} events", rates=before, unit="per second")
    emit(
        case=f"{name}, {large.events:,} events",
        rates=after,
        unit="per second",
        of_small=ratio(after, before),
        floor=FLOOR,
        **more,
    )


def _cases() -> Iterator[tuple[str, Callable[[Log, int], Awaitable[float]]]]:
    yield "append, 64 submitters, any stream", append
    yield "activate, one at a time", lambda log, turn: activate(log, turn, 1, 1)
    yield "activate, concurrent", lambda log, turn: activate(log, turn, 4, 32)
    yield "replay and verify", replay
    yield "read pages", page
