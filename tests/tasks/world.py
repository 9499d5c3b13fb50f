"""Real hosts and real workers as processes, and an outside service that counts what is asked of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from aiohttp import web

from actors.workflows.tasks import TaskCall
from events.address import DEFAULT_TENANT
from events.envelope import Message
from events.ids import digest, random_id
from infra.nats.bus import NatsBus
from infra.nats.client import Client, wall_clock
from infra.nats.connection import Connection, connect
from infra.nats.provision import find_stream
from infra.nats.tasks import TASKS

JOBS = Path(__file__).with_name("jobs")
PATIENCE = 90.0


class Outside:
    """A service outside: answers at once, or holds those in `held` until told."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.pids: dict[str, list[int]] = {}
        self.hold = False
        self._open = asyncio.Event()
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/", self._called)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    async def stop(self) -> None:
        self.release()
        assert self._runner is not None
        await self._runner.cleanup()

    def release(self) -> None:
        """Answer everybody."""
        self.hold = False
        self._open.set()

    async def _called(self, request: web.Request) -> web.Response:
        said = await request.json()
        self.calls[said["key"]] += 1
        self.pids.setdefault(said["key"], []).append(said["pid"])
        self._changed.set()
        if self.hold:
            await self._open.wait()
        return web.json_response({"number": self.calls[said["key"]]})

    async def called(self, key: str, times: int = 1) -> int:
        """Wait until it was called so often with that key; the process that called last."""
        async with asyncio.timeout(PATIENCE):
            while self.calls[key] < times:
                self._changed.clear()
                await self._changed.wait()
        return self.pids[key][-1]


class Place:
    """Processes around one Postgres and one NATS."""

    def __init__(self, postgres_url: str, nats_url: str, logs: Path) -> None:
        self._logs = logs
        self.outside = Outside()
        self._environment = {
            **os.environ, "DATABASE_URL": postgres_url, "NATS_URL": nats_url, "PYTHONPATH": os.getcwd(),
            "THESPIS_TASKS_LOST_AFTER": "2",
        }  # fmt: skip
        self._nats_url = nats_url
        self.processes: list[asyncio.subprocess.Process] = []
        self.connection: Connection
        self.client: Client

    async def __aenter__(self) -> Place:
        await self.outside.start()
        self._environment["OUTSIDE"] = self.outside.url
        self.connection = await connect(self._nats_url)
        self.client = Client(NatsBus(self.connection))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.outside.stop()
        for process in self.processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
        await self.connection.close()

    async def _start(self, *words: str, **environment: str) -> asyncio.subprocess.Process:
        with (self._logs / f"{len(self.processes)}-{words[0]}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "gateway.main", *words, env={**self._environment, **environment},
                stdout=log, stderr=log,
            )  # fmt: skip
        self.processes.append(process)
        return process

    async def host(self) -> asyncio.subprocess.Process:
        return await self._start("host", "--port", "0", "--workspace", str(JOBS))

    async def worker(self, *words: str, **environment: str) -> asyncio.subprocess.Process:
        return await self._start("worker", "--workspace", str(JOBS), *words, **environment)

    async def ask(self, to: str, name: str, data: Any) -> None:
        body = msgspec.json.encode(data)
        id = random_id()
        message = Message(
            id, name, to, DEFAULT_TENANT, body, "user:test", wall_clock(), "", id, digest=digest(name, body),
            deadline=wall_clock() + int(PATIENCE * 1e6),
        )  # fmt: skip
        answer = await self.client.ask(message)
        assert answer.outcome == "handled", answer

    async def go(self, job: str, *calls: TaskCall, effect_class: str = "idempotent") -> None:
        await self.ask(job, "Go", {"calls": calls, "effect_class": effect_class})

    def describe(self, file: Path) -> None:
        """Write what `thespis up` would write."""
        known = {"pid": os.getpid(), "url": "", "nats_url": self._nats_url, "workspaces": [str(JOBS)],
                 "database_url": self._environment["DATABASE_URL"]}  # fmt: skip
        file.write_bytes(msgspec.json.encode(known))

    async def outlasts(self, seconds: float) -> bool:
        """Let more time pass than a worker may be silent; says whether all processes are still there."""
        ends = [asyncio.create_task(process.wait()) for process in self.processes]
        done, pending = await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        return not done

    async def queued(self, count: int) -> None:
        """Wait until that many calls are in the queue."""
        async with asyncio.timeout(PATIENCE):
            while True:
                stream = await find_stream(self.connection, TASKS)
                if stream is not None and stream["state"]["messages"] >= count:
                    return
                await asyncio.sleep(0.05)

    async def came(self, job: str, steps: int = 1, results: int = 1) -> dict[str, list[dict[str, Any]]]:
        """Wait until that many steps have that many results each."""
        async with asyncio.timeout(PATIENCE):
            while True:
                state = (await self.client.view(DEFAULT_TENANT, job)).state
                came: dict[str, list[dict[str, Any]]] = state.get("came", {})
                if len(came) >= steps and all(len(each) >= results for each in came.values()):
                    return came
                await asyncio.sleep(0.05)


def call(
    job: str, step: str, task: str = "outside", input: Any = None, queue: str = "default", **said: Any
) -> TaskCall:
    input = {} if input is None else input
    return TaskCall(task, job, step, 1, f"{job}/{step}", input, queue, **said)


def stop(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    os.kill(process.pid, number)
