"""One projection at work on this host: runs its live build, the one that is to take its place, and those kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from events.errors import ThespisError
from projections.core.builds import surplus
from projections.core.chronicle import Chronicle
from projections.core.definition import Projection
from projections.core.port import Build, ReadModelStore, Source
from projections.core.runner import Runner
from projections.core.switching import PROJECTOR, Order, carry_out, prepare

log = logging.getLogger("thespis.projections")

TELL_EVERY: Final = 10.0
"""Seconds between looks for switches that the log was not told of: somebody died right after one."""


class Follower:
    """Keeps one runner per build that this code can fold, and lets others wait for the live cursor."""

    def __init__(
        self,
        projection: Projection,
        source: Source,
        store: ReadModelStore,
        *,
        batch: int,
        poll: float,
        chronicle: Chronicle | None,
        clock: Callable[[], int],
        keep: float,
    ) -> None:
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
        self._chronicle = chronicle
        self._clock = clock
        self._keep = int(keep * 1e6)
        self._told = -TELL_EVERY
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

    @property
    def leads(self) -> bool:
        """Whether the live build is folded here."""
        return any(runner.build.state == "live" for runner, _ in self._runners.values())

    def runner(self, number: int) -> Runner | None:
        """What folds a build here, or None."""
        found = self._runners.get(number)
        return found[0] if found is not None else None

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
                builds = await self._store.open(self.projection)
                self._match(builds)
                if time.monotonic() - self._told >= TELL_EVERY:
                    await self.tell()
                for number in surplus(builds, self._clock()):
                    await self._store.drop(self.projection.name, number)
                    log.info("projection %s: build %d is dropped, its time is over", self.projection.name, number)
            except Exception as error:
                self._complain(error)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll):
                    await self._look.wait()

    async def tell(self) -> None:
        """Let the log know what was switched."""
        if self._chronicle is not None:
            await self._chronicle.catch_up(self._store, self.projection.name)
        self._told = time.monotonic()

    async def _switch(self, runner: Runner) -> None:
        """Let a build that has caught up take the live one's place, unless it holds something else than that."""
        name, store = self.projection.name, self._store
        async with runner.own_turn:
            samples = await prepare(store, name, runner.advance)
        async with self.turn, runner.own_turn:
            now = self._clock()
            order = Order(runner.build.number, PROJECTOR, "", False, now, self._keep)
            outcome = await carry_out(store, name, order, samples, runner.advance)
            if outcome.refused:
                await store.set_aside(runner.build, outcome.refused, now + self._keep)
                log.error("projection %s: build %d stays aside: %s", name, order.to, outcome.refused)
        if outcome.switch is not None:
            self.switched()

    def switched(self) -> None:
        """Another build became live: what runs here is to look again, and the log has to be told."""
        for runner, _ in self._runners.values():
            runner.doubt()
        self._told = -TELL_EVERY
        self.look()

    def _complain(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self._problem:
            expected = isinstance(error, ThespisError)
            log.error("projection %s: %s", self.projection.name, text, exc_info=None if expected else error)
        self._problem = text

    def _match(self, builds: list[Build]) -> None:
        """Run exactly the builds that are of this code's version."""
        self._problem = ""
        version, tables = self.projection.version, self.projection.layouts
        mine = {b.number: b for b in builds if b.version == version and b.tables == tables}
        live = next((b for b in builds if b.state == "live"), None)
        if live is not None and live.version != version and not mine:
            self._problem = f"version {live.version} is live; the code here is version {version}"
        for number, (_, task) in list(self._runners.items()):
            if number not in mine or task.done():
                task.cancel()
                del self._runners[number]
        for number, build in mine.items():
            known = self.runner(number)
            if known is not None and known.build.state != build.state:
                known.doubt()
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
                    switch=self._switch,
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
