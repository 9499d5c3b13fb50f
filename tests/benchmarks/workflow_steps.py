"""Durable steps: a step is committed before the next one begins. In the same minutes, on the same Postgres: `dbos`.

A host on a store, without bus and gateway; the task does nothing. `dbos` runs the same chain of steps that do nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import msgspec

from actors.core.host import Host, wall_clock
from actors.core.kind import Attempt, EffectKind
from actors.workflows.messages import StartRun
from actors.workflows.plan import Each, Graph, Plan, Step, TaskAction, encode_plan
from actors.workflows.plugin import workflow_plugin
from actors.workflows.tasks import CANCEL, CancelCall, TaskCall, effect_kind
from events.envelope import Message
from events.ids import digest, random_id
from gateway.process import quieten_gc
from infra.cel import Cel
from infra.memory.blobs import MemoryBlobs
from infra.nats.bus import NatsBus
from infra.nats.client import Client
from infra.nats.connection import connect
from infra.postgres import PostgresStore, open_store
from infra.tasks.hosting import HostTasks
from tests.benchmarks.work.workspace import NOTHING

WORKSPACE = Path(__file__).with_name("work")
LENGTH = 100
RUNS = 3


async def _nothing(_call: TaskCall, _attempt: Attempt) -> Any:
    return {"output": {"n": 1}}


async def _stop(_call: CancelCall, _attempt: Attempt) -> None:
    return None


def _plugin() -> Any:
    effects = [
        EffectKind(effect_kind(c), request=TaskCall, perform=_nothing, effect_class=c, concurrency=10_000)
        for c in ("pure", "idempotent", "keyed", "irreversible")
    ]
    stopping = EffectKind(CANCEL, request=CancelCall, perform=_stop, effect_class="idempotent")
    return workflow_plugin(Cel(), [*effects, stopping])


def chain(length: int, queue: str = "", task: str = "t@1") -> msgspec.Raw:
    """So many steps, each of which needs the one before; performed here, or by the workers of a queue."""
    steps = tuple(
        Step(
            f"s{n}", TaskAction(task, {"n": f"${{ steps.s{n - 1}.output.n }}" if n else 0}, queue=queue),
            needs=(f"s{n - 1}",) if n else (), dependents=(f"s{n + 1}",) if n + 1 < length else (),
        )
        for n in range(length)
    )  # fmt: skip
    return msgspec.Raw(encode_plan(Plan("chain", 1, f"chain-{length}", Graph(steps))))


def wide(count: int) -> msgspec.Raw:
    """One step for each of so many items."""
    step = Step("m", TaskAction("t@1", "${ item }"), each=Each((list(range(count)),)))
    return msgspec.Raw(encode_plan(Plan("wide", 1, f"wide-{count}", Graph((step,)))))


class Bench:
    """A host, and how many of its runs have ended."""

    def __init__(self, store: PostgresStore, plugin: Any = None) -> None:
        self.store = store
        self.host = Host(store, plugin or _plugin(), host_id=random_id())
        self.ended = 0
        self.wanted = 0
        self._reached = asyncio.Event()
        self.host.listeners.append(self._committed)

    def _committed(self, batch: Any, _appended: Any) -> None:
        for append in batch:
            self.ended += sum(event.type == "RunFinished" for event in append.events)
        if self.ended >= self.wanted:
            self._reached.set()

    async def start(self) -> None:
        """Own all partitions."""
        await self.host.start()
        while len(self.host.owned) < 64:
            await asyncio.sleep(0.05)

    async def begin(self, plan: msgspec.Raw) -> None:
        """Start a run."""
        body = msgspec.json.encode(StartRun(plan))
        id = random_id()
        await self.host.ask(
            Message(id, "StartRun", f"run/{id}", "default", body, "user:b", wall_clock(), "", id, None, 1,
                    digest("StartRun", body))
        )  # fmt: skip

    async def play(self, plan: msgspec.Raw, runs: int) -> float:
        """Seconds until so many runs of a plan have ended."""
        self.wanted = self.ended + runs
        self._reached.clear()
        begun = time.perf_counter()
        await asyncio.gather(*(self.begin(plan) for _ in range(runs)))
        await self._reached.wait()
        return time.perf_counter() - begun

    async def reached(self, ended: int) -> None:
        """Wait until so many runs have ended."""
        while self.ended < ended:
            self.wanted = ended
            self._reached.clear()
            await self._reached.wait()


@asynccontextmanager
async def bench(servers: Any) -> AsyncIterator[Bench]:
    """A host on an empty log."""
    quieten_gc()  # as `thespis host` does
    async with _database(servers.postgres_url, "bench_steps") as url, open_store(url) as store:
        one = Bench(store)
        await one.start()
        try:
            yield one
        finally:
            await one.host.stop()


@asynccontextmanager
async def _database(url: str, name: str) -> AsyncIterator[str]:
    admin = await asyncpg.connect(url)
    try:
        await admin.execute(f"drop database if exists {name} with (force)")
        await admin.execute(f"create database {name}")
        head, _, tail = url.partition("?")
        yield f"{head.rpartition('/')[0]}/{name}" + (f"?{tail}" if tail else "")
        await admin.execute(f"drop database if exists {name} with (force)")
    finally:
        await admin.close()


async def peer(url: str, length: int, runs: int) -> list[float]:
    """Steps a second of `dbos`: so many chains at once, a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.workflow_peer", url, str(length), str(runs), str(RUNS),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, "dbos did not run"
    return msgspec.json.decode(out.splitlines()[-1], type=list[float])


async def rates_of(one: Bench, plan: msgspec.Raw, steps: int, runs: int) -> list[float]:
    """Steps a second, after a run to warm up."""
    await one.play(plan, min(runs, 8))
    return [steps * runs / await one.play(plan, runs) for _ in range(RUNS)]


async def steps(servers: Any, emit: Callable[..., None]) -> None:
    """One chain, 64 chains at once, a wide map; and `dbos`."""
    async with bench(servers) as one, _database(servers.postgres_url, "bench_dbos") as database:
        for runs, floor in ((1, "1,000/s, 3 × dbos"), (64, "6,000/s, 15 × dbos")):
            ours = await rates_of(one, chain(LENGTH), LENGTH, runs)
            theirs = await peer(database, LENGTH, runs)
            emit(
                case=f"workflow steps, {runs} at once", rates=ours, unit="steps/s", floor=floor,
                of_peer=median(ours) / median(theirs),
            )  # fmt: skip
            emit(case=f"workflow steps, {runs} at once, dbos", rates=theirs, unit="steps/s")
        emit(case="map of 1,000 items", rates=await rates_of(one, wide(1_000), 1_000, 1), unit="steps/s")


async def long(servers: Any, emit: Callable[..., None]) -> None:
    """What a step costs in a chain of 10,000, and in one of 100: processor time of the host, in turns."""
    async with bench(servers) as one:
        cost: dict[int, list[float]] = {100: [], 10_000: []}
        rates: list[float] = []
        for turn in range(RUNS + 1):
            for length, runs in ((100, 100), (10_000, 1)):
                begun = time.process_time()
                seconds = await one.play(chain(length), runs)
                if turn:
                    cost[length].append((time.process_time() - begun) / length / runs)
                    if runs == 1:
                        rates.append(length / seconds)
        emit(case="chain of 10,000 steps", rates=rates, unit="steps/s")
        one_by_one: list[float] = []
        for _ in range(RUNS):
            begun = time.process_time()
            for _ in range(50):
                await one.play(chain(100), 1)
            one_by_one.append((time.process_time() - begun) / 5_000)
        emit(
            case="processor time of a step, 10,000 against 100", us_100=median(one_by_one) * 1e6,
            us_10000=median(cost[10_000]) * 1e6, ratio=median(cost[10_000]) / median(one_by_one), ceiling=1.3,
        )  # fmt: skip


async def recovery(servers: Any, emit: Callable[..., None]) -> None:
    """1,000 runs of ten steps are interrupted; a new host finishes them: seconds until the last has ended."""
    async with bench(servers) as one:
        plan = chain(10)
        for _ in range(20):
            await asyncio.gather(*(one.begin(plan) for _ in range(50)))
        await one.host.stop()
        left = 1_000 - one.ended  # more of them ended while it handed over
        other = Bench(one.store)
        other.wanted = left
        begun = time.perf_counter()
        await other.start()
        await other.reached(left)
        emit(case="recovery of interrupted runs", runs=left, seconds_to_end=time.perf_counter() - begun)
        await other.host.stop()


WORKERS = 2


async def workers(servers: Any, emit: Callable[..., None]) -> None:
    """Steps a second of 64 runs whose every step is performed by one of two `thespis worker` processes."""
    connection = await connect(servers.nats_host_url)
    async with _database(servers.postgres_url, "bench_steps") as url, open_store(url) as store:
        tasks = HostTasks(connection, MemoryBlobs(), [NOTHING], "host:bench")
        one = Bench(store, workflow_plugin(Cel(), tasks.effects))
        await tasks.start(one.host, Client(NatsBus(connection), one.host))
        await one.start()
        environment = {**os.environ, "NATS_URL": servers.nats_host_url, "PYTHONPATH": os.getcwd()}
        words = ["worker", "--workspace", str(WORKSPACE), "--concurrency", "64"]
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "gateway.main", *words, env=environment, stderr=asyncio.subprocess.DEVNULL
            )
            for _ in range(WORKERS)
        ]
        try:
            await one.play(chain(2, "default", NOTHING.id), 8)  # until they are there
            rates = await rates_of(one, chain(20, "default", NOTHING.id), 20, 64)
        finally:
            for process in processes:
                process.kill()
                await process.wait()
            await one.host.stop()
            await tasks.stop()
    await connection.close()
    emit(case=f"workflow steps through {WORKERS} worker processes", rates=rates, unit="steps/s", floor=2_000)


CASES = [
    ("workflow-steps", steps), ("workflow-long", long), ("workflow-recovery", recovery), ("workflow-workers", workers),
]  # fmt: skip
