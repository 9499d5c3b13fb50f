"""One projection at work on this host: runs its live build, and the one that is to take its place."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from events.errors import ThespisError
from projections.core.definition import Projection
from projections.core.port import Build, ReadModelStore, Source
from projections.core.runner import Runner

log = logging.getLogger("thespis.projections")


class Follower:
    """Keeps one runner per build that this code can fold, and lets others wait for the live cursor."""

    def __init__(self, projection: Projection, source: Source, store: ReadModelStore, batch: int, poll: float) -> None:
        self.projection = projection
        self.cursor = 0
        """How far the live rows are, as far as known here."""
        self.turn = asyncio.Lock()
        """Held around every step of the live build on this host."""
        self.rate = 0.0
        self._source = source
        self._store = store
        self._batch = batch
        self._poll = poll
        self._problem = ""
        self._runners: dict[int, tuple[Runner, asyncio.Task[None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._look = asyncio.Event()
        self._hurry = asyncio.Event()
        """Set while somebody waits."""
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._seen = (time.monotonic(), 0)

    @property
    def error(self) -> str:
        """What keeps it from going on, or nothing."""
        return self._problem or next((r.error for r, _ in self._runners.values() if r.error), "")

    def start(self) -> None:
        """Begin to follow the log."""
        self._task = asyncio.create_task(self._run(), name=f"projection-{self.projection.name}")

    async def stop(self) -> None:
        """Stop folding."""
        tasks = [task for _, task in self._runners.values()]
        if self._task is not None:
            tasks.append(self._task)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._runners.clear()
        for _, future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def wake(self, head: int = 0) -> None:
        """There may be something to fold, perhaps up to `head`."""
        for runner, _ in self._runners.values():
            runner.wake(head)

    def look(self) -> None:
        """The builds changed."""
        self._look.set()

    async def reached(self, position: int, timeout: float) -> None:
        """Return once the live rows include `position`, or after `timeout` seconds."""
        if self.cursor >= position:
            return
        entry = (position, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        self._hurry.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await entry[1]
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)
            if not self._waiting:
                self._hurry.clear()

    async def _run(self) -> None:
        while True:
            self._look.clear()
            try:
                self._match(await self._store.open(self.projection))
            except Exception as error:
                self._complain(error)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll):
                    await self._look.wait()

    def _complain(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self._problem:
            expected = isinstance(error, ThespisError)
            log.error("projection %s: %s", self.projection.name, text, exc_info=None if expected else error)
        self._problem = text

    def _match(self, builds: list[Build]) -> None:
        """Run exactly the builds that are of this code's version."""
        self._problem = ""
        mine = {b.number: b for b in builds if b.version == self.projection.version and b.state != "retired"}
        newer = [b for b in builds if b.version > self.projection.version]
        if newer and not mine:
            self._problem = f"version {newer[0].version} is live; the code here is version {self.projection.version}"
        for number, (_, task) in list(self._runners.items()):
            if number not in mine or task.done():
                task.cancel()
                del self._runners[number]
        for number, build in mine.items():
            if number not in self._runners:
                runner = Runner(
                    self.projection,
                    build,
                    self._source,
                    self._store,
                    batch=self._batch,
                    poll=self._poll,
                    committed=self._committed,
                    live_turn=self.turn,
                    hurry=self._hurry,
                )
                task = asyncio.create_task(runner.run(), name=f"projection-{self.projection.name}-{number}")
                self._runners[number] = (runner, task)
        for build in builds:
            self._committed(build)

    def _committed(self, build: Build) -> None:
        if build.state != "live":
            return
        self.cursor = max(self.cursor, build.cursor)
        then, cursor = self._seen
        now = time.monotonic()
        if now - then >= 1.0:
            self.rate = max(0, self.cursor - cursor) / (now - then)
            self._seen = (now, self.cursor)
        if self._waiting:
            due = [e for e in self._waiting if e[0] <= self.cursor]
            for entry in due:
                self._waiting.remove(entry)
                if not entry[1].done():
                    entry[1].set_result(None)
