"""The digest under fire: a workflow over real files, its host killed between two files and while people are asked."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import msgspec

from events.envelope import Event
from events.errors import DeadlineExceeded, NotFound
from events.store import EventStore
from gateway.cli.find import Place
from gateway.cli.http import Api, path
from gateway.cli.retrying import retrying
from gateway.demo.digest_proof import DigestProof, Expected, expect, markdown
from gateway.demo.host import HostProcess
from gateway.proof import Check, LogProof, witness

PACKAGES = Path(__file__).parents[2]
TEMPLATE = Path(__file__).parents[1] / "templates" / "digest"
PATIENCE = 120.0
POLL = 0.01
PAUSE = 0.1
"""Seconds over each file in the first run: time to be killed in."""

Begin = Callable[[Path], HostProcess]
"""Makes the host for a workspace."""


class Digest(msgspec.Struct):
    """What was done and what was proved. `fresh` are the files that the second run had to read."""

    files: int
    fresh: int
    kills: list[str]
    seconds: float
    checks: list[Check]


async def digest(store: EventStore, begin: Begin, directory: Path, seed: int, say: Callable[[str], None]) -> Digest:
    """Run the template `digest` twice over the project's own Markdown. `begin` makes the host, on empty partitions."""
    began = monotonic()
    workspace, files, random = directory / "digest", directory / "files", Random(seed)
    shutil.copytree(TEMPLATE, workspace, ignore=shutil.ignore_patterns("__pycache__"))
    for package in ("actors", "events", "gateway", "infra", "projections"):
        for source in markdown(PACKAGES / package):
            target = files / source.relative_to(PACKAGES)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    names = sorted(found.relative_to(files).as_posix() for found in markdown(files))
    inputs = {"folder": str(files), "to": str(directory / "reports"), "pause": PAUSE}
    runs = [f"demo-{seed}-{number}" for number in (1, 2)]
    expected: dict[str, Expected] = {}
    async with begin(workspace) as host, Api(Place(host.url), timeout=15.0) as api:
        play = _Play(host, api, Log(store), say)
        expected[runs[0]] = expect(files, set(names))
        moment = random.randint(1, len(names) - 9)
        await play.run(runs[0], inputs, moment)
        changed, gone = random.sample(names, 2)
        (files / changed).write_text("# Changed\n\nWith a [link](nowhere.md).\n", "utf-8")
        (files / gone).unlink()
        (files / "added.md").write_text("# Added\n\nThree more words.\n", "utf-8")
        fresh = {changed, "added.md"}
        expected[runs[1]] = expect(files, fresh)
        await play.run(runs[1], inputs, None)
        # In the order in which the runs were.
        proof = DigestProof({play.ids[name]: expected[name] for name in runs})
        checks = await witness(store, LogProof(), proof)
    return Digest(len(names), len(fresh), play.kills, monotonic() - began, checks)


class _Play:
    """Runs of the digest, each until its end. `ids` are the runs' own, by the keys they were started with."""

    def __init__(self, host: HostProcess, api: Api, log: Log, say: Callable[[str], None]) -> None:
        self._host = host
        self._api = api
        self._log = log
        self._say = say
        self.ids: dict[str, str] = {}
        self.kills: list[str] = []

    async def run(self, key: str, inputs: dict[str, Any], moment: int | None) -> None:
        """One run; with `moment` the host is killed after so many results, and once more while the report waits."""
        await self._published()
        started = await self._insist(path("workflows", "digest", "runs"), {"inputs": inputs}, key)
        run = self.ids[key] = started["run"]
        if moment is not None:
            await self._log.until(run, lambda event, data: _is_result(event, data), moment)
            await self._kill(f"after {moment} files")
        asked = await self._log.until(run, lambda event, _data: event.type == "ApprovalRequested")
        if moment is not None:
            await self._kill("while the report waits for approval")
        digest = msgspec.json.decode(asked.data)["digest"]
        approve = path("approvals", asked.stream.partition("/")[2], "approve")
        await self._insist(approve, {"digest": digest, "note": "the demo"}, f"{key}-approve")
        await self._log.until(run, lambda event, _data: event.type == "RunFinished")

    async def _kill(self, when: str) -> None:
        await self._host.kill()
        self.kills.append(when)
        self._say(f"  SIGKILL {when}")
        self._host.start()
        await self._host.ready()

    async def _published(self) -> None:
        deadline = monotonic() + PATIENCE
        while True:
            try:
                await retrying(lambda: self._api.get(path("workflows", "digest")), patience=PATIENCE, reached=True)
                return
            except NotFound:
                if monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)

    async def _insist(self, where: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        return await retrying(lambda: self._api.post(where, body, key=key), patience=PATIENCE, reached=True)


class Log:
    """Reads on, and remembers what belongs to runs and approvals."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._after = 0
        self._events: list[Event] = []

    async def until(self, run: str, wanted: Callable[[Event, Any], bool], count: int = 1) -> Event:
        """Wait for the count-th event of a run (or of its approvals) that is wanted. Raises DeadlineExceeded."""
        deadline = monotonic() + PATIENCE
        while True:
            await self._read()
            mine = [e for e in self._events if e.stream == f"run/{run}" or e.stream.startswith(f"approval/{run}.")]
            found = [event for event in mine if wanted(event, msgspec.json.decode(event.data))]
            if len(found) >= count:
                return found[count - 1]
            if monotonic() > deadline:
                last = mine[-1].type if mine else "nothing"
                raise DeadlineExceeded(f"run {run} does not get on: the last of it is {last}")
            await asyncio.sleep(POLL)

    async def _read(self) -> None:
        while events := await self._store.read(self._after, 5000):
            self._events += [event for event in events if event.stream.startswith(("run/", "approval/"))]
            self._after = events[-1].position


def _is_result(event: Event, data: Any) -> bool:
    return event.type == "StepSucceeded" and data["step"].startswith("measure[")
