"""Single-event appends by many at once: the full path (hash chain, fence, inbox, group commit) against a bare group
commit and against the peer, in turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from statistics import median
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from actors.core.appender import Appender
from events.address import partition_of
from events.chain import GENESIS, link
from events.ids import derived, digest, random_id
from events.store import Append, Appended, Handled, NewEvent, Status, Verdict
from infra.postgres import PostgresStore, open_store
from tests.benchmarks.log_data import DATA, RUNS, fresh, off_loop, peer, peer_saves, quiet, ratio

SUBMITTERS = (1, 64, 256)
SECONDS = 2.0
BARE_TABLE = """
create table bare (
  position bigint generated always as identity primary key, stream text not null, version int not null,
  id uuid not null, type text not null, data bytea not null, meta bytea not null, unique (stream, version))"""
BARE = """
insert into bare (stream, version, id, type, data, meta)
select * from unnest($1::text[], $2::int[], $3::uuid[], $4::text[], $5::bytea[], $6::bytea[]) returning position"""
META = b"m" * 60
BODY = DATA[:120]


class Full:
    """One actor that appends one event, and the next when that is acknowledged."""

    def __init__(self, appender: Appender, latencies: list[float]) -> None:
        self.appender = appender
        self.latencies = latencies
        self.stream = f"bench/{uuid4()}"
        self.partition = partition_of("default", self.stream)
        self.version, self.hash = 0, GENESIS
        self.until = 0.0
        self.done = asyncio.Event()

    def go(self) -> None:
        """Append the next event."""
        self.begin = time.perf_counter()
        message = random_id()
        now = time.time_ns() // 1000
        id = f"{derived(self.stream, message, now)}0000"
        version = self.version + 1
        self.hash = link(self.hash, "default", self.stream, version, id, "LineAdded", 1, message, DATA)
        event = NewEvent(id, "LineAdded", 1, DATA, message, message, self.hash)
        handled = Handled(message, digest("AddLine", BODY), "AddLine", 1, BODY, "user:bench", now, message, message)
        append = Append("default", self.stream, self.partition, 1, self.version, [event], [handled])
        self.version = version
        self.appender.submit(append, self.on_verdict)

    def on_verdict(self, verdict: Verdict | Exception, appended: Appended | None) -> None:
        assert isinstance(verdict, Verdict), verdict
        assert verdict.status == Status.WRITTEN, verdict
        now = time.perf_counter()
        self.latencies.append(now - self.begin)
        if now < self.until:
            self.go()
        else:
            self.done.set()


class Bare:
    """The same closed loop around one `INSERT … unnest` per commit, and nothing else."""

    def __init__(self, writer: BareWriter, latencies: list[float]) -> None:
        self.writer = writer
        self.latencies = latencies
        self.stream = f"bench/{uuid4()}"
        self.version = 0
        self.until = 0.0
        self.done = asyncio.Event()

    def go(self) -> None:
        """Append the next event."""
        self.begin = time.perf_counter()
        self.version += 1
        self.writer.submit((self.stream, self.version, UUID(random_id()), "LineAdded", DATA, META), self.on_written)

    def on_written(self) -> None:
        now = time.perf_counter()
        self.latencies.append(now - self.begin)
        if now < self.until:
            self.go()
        else:
            self.done.set()


class BareWriter:
    """A bare group commit."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.waiting: list[tuple[tuple[Any, ...], Callable[[], None]]] = []
        self.wake = asyncio.Event()

    def submit(self, row: tuple[Any, ...], done: Callable[[], None]) -> None:
        self.waiting.append((row, done))
        self.wake.set()

    async def run(self) -> None:
        statement = await self.connection.prepare(BARE)
        while True:
            if not self.waiting:
                self.wake.clear()
                await self.wake.wait()
            batch, self.waiting = self.waiting, []
            await statement.fetch(*zip(*[row for row, _ in batch], strict=True))
            for _, done in batch:
                done()


async def measure(make: Callable[[list[float]], Full | Bare], count: int, seconds: float) -> tuple[float, list[float]]:
    """(appends per second, latencies) of that many submitters."""
    latencies: list[float] = []
    submitters = [make(latencies) for _ in range(count)]
    begin = time.perf_counter()
    for s in submitters:
        s.until = begin + seconds
        s.go()
    await asyncio.gather(*(s.done.wait() for s in submitters))
    return len(latencies) / (time.perf_counter() - begin), sorted(latencies)


async def run(dsn: str, emit: Callable[..., None]) -> None:
    """All cases, in a database of their own."""
    async with fresh(dsn) as database, open_store(database) as store:
        await store.join("bench", 3600, b"")
        await store.claim("bench", range(64))
        quiet()
        await _run(database, store, emit)


async def _run(database: str, store: PostgresStore, emit: Callable[..., None]) -> None:
    appender = Appender(store)
    appender.start()
    connection = await asyncpg.connect(database)
    await connection.execute(BARE_TABLE)
    writer = BareWriter(connection)
    writing = asyncio.create_task(writer.run())
    with peer(database) as app:
        trials = {threads: await off_loop(peer_saves, app, 1, threads, 1.0) for threads in (1, 4, 8, 16)}
        best = max(trials, key=lambda threads: trials[threads])
        make: dict[str, Callable[[list[float]], Full | Bare]] = {
            "bare": lambda late: Bare(writer, late),
            "full": lambda late: Full(appender, late),
        }
        for count in SUBMITTERS:
            rates: dict[str, list[float]] = {"full": [], "bare": [], "peer": []}
            late: dict[str, list[float]] = {"full": [], "bare": []}
            for turn in range(RUNS + 1):
                seconds = SECONDS if turn else 0.7
                for kind in ("bare", "full"):
                    rate, latencies = await measure(make[kind], count, seconds)
                    if turn:
                        rates[kind].append(rate)
                        late[kind] += [latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]]
                if turn:
                    rates["peer"].append(await off_loop(peer_saves, app, 1, best, SECONDS / 2))
            for kind, values in rates.items():
                extra: dict[str, Any] = {"submitters": count} if kind != "peer" else {"threads": best}
                if kind in late:
                    p50, p99 = (round(median(late[kind][n::2]) * 1e3, 2) for n in (0, 1))
                    extra |= {"p50_ms": p50, "p99_ms": p99}
                if kind == "full":
                    extra |= {"of_bare": ratio(values, rates["bare"]), "of_peer": ratio(values, rates["peer"])}
                    extra |= {"floor": "0.35 of bare, 10 × peer"} if count > 1 else {}
                emit(case=f"append, {count} submitters, {kind}", rates=values, unit="events/s", **extra)
    writing.cancel()
    await asyncio.wait([writing])
    await connection.close()
    await appender.stop()


async def append(servers: Any, emit: Callable[..., None]) -> None:
    """The entry of `scripts/bench`."""
    await run(servers.postgres_url, emit)


CASES = [("log-append", append)]
