"""A run of everything on two hosts and two workers that are killed (SIGKILL) at places of the log: what comes of it is
what would have come anyway, as a service outside has counted it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, cast
from zlib import crc32

import msgspec
import pytest
from aiohttp import web

from actors.approval import approval_of
from actors.workflows.plan import Graph, Plan, encode_plan
from events.store import EventStore
from gateway.demo.host import HostProcess
from gateway.demo.plan import Step
from gateway.demo.traffic import Traffic
from gateway.proof import LogProof, verdict, witness
from infra.postgres.store import open_store
from tests.servers import Nats
from tests.workflows.everything import BAD, GOOD, ONCE, everything, facts_of

WORKSPACE = Path(__file__).with_name("everything_place")
PATIENCE = 120.0
SEED = 11
KILLS = 20
AT_ONCE = 4
"""Kills in one run."""

pytestmark = pytest.mark.timeout(900)


class Outside:
    """The service outside. It counts what it did under each key, and refuses what it said never came."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self._refused: set[tuple[str, int]] = set()
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[Outside]:
        app = web.Application()
        app.router.add_post("/do", self._do)
        app.router.add_post("/came", self._came)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _do(self, request: web.Request) -> web.Response:
        said = await request.json()
        if (said["key"], said["attempt"]) in self._refused:
            return web.Response(status=409, text="refused")
        self.done[said["key"]] += 1
        return web.json_response(True)

    async def _came(self, request: web.Request) -> web.Response:
        said = await request.json()
        if not self.done[said["key"]]:
            self._refused.add((said["key"], said["attempt"]))
        return web.json_response(self.done[said["key"]] > 0)


class Worker:
    """`thespis worker`, to be killed and started again."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._directory = directory
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        words = ["worker", "--workspace", str(WORKSPACE), "--concurrency", "4"]
        with (self._directory / "worker.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "gateway.main", *words, env=self._environment, stdout=log, stderr=log
            )

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


class Came(msgspec.Struct):
    """What came of a run. `events` is how many it added to the log, `kills` where somebody was killed."""

    outputs: Any
    facts: Counter[str]
    done: Counter[str]
    events: int
    kills: list[tuple[int, str]]


class Stage:
    """Two hosts and two workers, and whoever asks them for runs."""

    def __init__(self, store: EventStore, traffic: Traffic, outside: Outside) -> None:
        self.store = store
        self.victims: dict[str, tuple[Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]] = {}
        """How each is killed and started again."""
        self._traffic = traffic
        self._outside = outside

    async def _ask(self, to: str, message: str, data: dict[str, Any], key: str) -> None:
        answer = await self._traffic.send(Step(to, message, data, key))
        assert answer["outcome"] == "handled", answer

    async def publish(self) -> None:
        for name, root in (("good", GOOD), ("bad", BAD), ("all", everything())):
            await self._ask(f"workflow/{name}", "PublishWorkflow", {"plan": _queued(name, root)}, name)

    async def play(self, run: str, kills: Sequence[tuple[int, str]] = ()) -> Came:
        """One run, in which somebody is killed whenever so many events were added."""
        began, killed = await self.store.head(), list[tuple[int, str]]()
        done = Counter(self._outside.done)
        attack = asyncio.create_task(self._attack(began, kills, killed))
        try:
            async with asyncio.timeout(PATIENCE):
                await self._drive(run, began)
        except TimeoutError:
            raise AssertionError(await self._stuck(began, killed)) from None
        finally:
            attack.cancel()
            with suppress(asyncio.CancelledError):
                await attack
        events = await self.store.read(began, 100_000)
        outputs, facts = facts_of(events, f"run/{run}")
        named = Counter({key.replace(run, "RUN"): n for key, n in (self._outside.done - done).items()})
        (cause,) = {msgspec.json.decode(e.data)["cause"] for e in events if e.type == "RunStarted"}
        facts = Counter({fact.replace(run, "RUN").replace(cause, "CAUSE"): n for fact, n in facts.items()})
        return Came(outputs, facts, named, len(events), killed)

    async def _drive(self, run: str, began: int) -> None:
        await self._ask("workflow/all", "StartWorkflow", {"run": run, "inputs": {"n": 7}}, run)
        await self._seen(began, "StepWaiting", run, b'"step":"event"')
        await self._ask(f"run/{run}", "Signal", {"type": "Go", "data": {"n": 2}}, f"{run}-2")
        await self._ask(f"run/{run}", "Signal", {"type": "Go", "data": {"n": 1}}, f"{run}-1")
        await self._seen(began, "ApprovalRequested", run, b"everything")
        await self._ask(approval_of(f"run/{run}", "approval"), "Approve", {"by": "user:local"}, run)
        await self._seen(began, "RunFinished", run, count=4)
        while await self._owed():
            await asyncio.sleep(0.05)

    async def _owed(self) -> bool:
        """Whether anything still waits for anybody."""
        every = range(64)
        mail, _ = await self.store.mail(every, 0, 1)
        return bool(mail or await self.store.effects(every, "", 1) or await self.store.timers(every, 1 << 62, 1))

    async def _stuck(self, began: int, killed: list[tuple[int, str]]) -> str:
        events = await self.store.read(began, 100_000)
        last = [f"{e.position - began} {e.stream} {e.type} {e.data.decode()[:120]}" for e in events[-12:]]
        effects = [f"{e.id} {e.status} {e.stream} {e.kind} {e.data.decode()[:200]}"
                   for e in await self.store.effects(range(64), "", 20)]  # fmt: skip
        timers = [f"{t.stream} {t.name}" for t in await self.store.timers(range(64), 1 << 62, 20)]
        return "\n".join(["it does not end", f"killed {killed}", *last, "open:", *effects, "timers:", *timers])

    async def _seen(self, began: int, type: str, run: str, text: bytes = b"", count: int = 1) -> None:
        while True:
            events = await self.store.read(began, 100_000)
            if sum(e.type == type and run in e.stream and text in e.data for e in events) >= count:
                return
            await asyncio.sleep(0.02)

    async def _attack(self, began: int, kills: Sequence[tuple[int, str]], killed: list[tuple[int, str]]) -> None:
        for at, name in sorted(kills):
            while await self.store.head() < began + at:
                await asyncio.sleep(0.001)
            kill, start = self.victims[name]
            await kill()
            killed.append((at, name))
            await start()


def _queued(name: str, root: Graph) -> Any:
    """The plan, half of whose tasks are for workers."""
    plan = msgspec.json.decode(encode_plan(Plan(name, 1, name, root)))

    def walk(value: Any) -> None:
        match value:
            case {"task": str(), **said}:
                if crc32(msgspec.json.encode(said)) % 2:
                    value["queue"] = "default"
            case dict():
                for part in cast("dict[str, Any]", value).values():
                    walk(part)
            case list():
                for part in cast("list[Any]", value):
                    walk(part)
            case _:
                pass

    walk(plan)
    return plan


@pytest.fixture
async def stage(postgres_url: str, nats_server: Nats, tmp_path: Path) -> AsyncIterator[Stage]:
    async with Outside().serving() as outside:
        settings = {"OUTSIDE": outside.url, "THESPIS_TASKS_LOST_AFTER": "2"}
        hosts = [
            HostProcess(tmp_path / f"host-{n}", database_url=postgres_url, nats_url=nats_server.host_url,
                        relay_url=nats_server.url, workspace=WORKSPACE, settings=settings)
            for n in (1, 2)
        ]  # fmt: skip
        known = {"DATABASE_URL": postgres_url, "NATS_URL": nats_server.host_url, "PYTHONPATH": os.getcwd()}
        workers = [Worker(tmp_path, {**os.environ, **known, **settings}) for _ in (1, 2)]

        async def begin(host: HostProcess) -> None:
            host.start()

        try:
            for host in hosts:
                host.start()
            await asyncio.gather(*(host.ready() for host in hosts), *(worker.start() for worker in workers))
            async with (
                open_store(postgres_url, migrated=True) as store,
                Traffic([host.url for host in hosts], timeout=2.0) as traffic,
            ):
                made = Stage(store, traffic, outside)
                for n, host in enumerate(hosts):
                    made.victims[f"host {n}"] = (host.kill, lambda host=host: begin(host))
                for n, worker in enumerate(workers):
                    made.victims[f"worker {n}"] = (worker.kill, worker.start)
                await made.publish()
                yield made
        finally:
            await asyncio.gather(*(host.kill() for host in hosts if host.running), *(w.kill() for w in workers))


def same(came: Came, plain: Came) -> None:
    """Outputs, facts and effects are those of the undisturbed run; what cannot be repeated was done once."""
    assert came.outputs == plain.outputs, came.kills
    assert came.facts == plain.facts, {
        "kills": came.kills, "missing": list((plain.facts - came.facts).keys())[:5],
        "more": list((came.facts - plain.facts).keys())[:5],
    }  # fmt: skip
    assert set(came.done) == set(plain.done), came.kills
    twice = {key: n for key, n in came.done.items() if key.endswith(ONCE) and n != 1}
    assert not twice, came.kills


async def attacked(stage: Stage, places: Callable[[int], Sequence[int]]) -> int:
    """Undisturbed first; then killed at these places of as many events, some of them in each run."""
    plain = await stage.play("undisturbed")
    assert plain.outputs == [4, [2, 3, 4, 5], [None, 2, None], 2, "won", "error", 7, ["local"]]
    assert set(plain.done.values()) == {1}
    random = Random(SEED)
    found = sorted(places(plain.events))
    parts, kills = -(-len(found) // AT_ONCE), 0
    for part in range(parts):
        chosen = [(at, random.choice(sorted(stage.victims))) for at in found[part::parts]]
        came = await stage.play(f"struck-{part}", chosen)
        same(came, plain)
        kills += len(came.kills)
    checks = await witness(stage.store, LogProof())
    assert all(check.passed for check in checks), "\n".join(verdict(checks))
    return kills


async def test_hosts_and_workers_are_killed_at_twenty_places(stage: Stage) -> None:
    assert await attacked(stage, lambda events: Random(SEED).sample(range(events * 9 // 10), KILLS)) == KILLS


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_hosts_and_workers_are_killed_at_every_place(stage: Stage) -> None:
    assert await attacked(stage, range) > KILLS
