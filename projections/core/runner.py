"""One build at work: pages of the log, folded in memory, stored with the cursor in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from events.envelope import Event
from events.errors import Corrupt, InvalidData, ThespisError
from projections.core.definition import Projection
from projections.core.fold import Fold
from projections.core.pages import NEAR, Pages, Short, forget_outcome
from projections.core.port import Build, Commit, ReadModelStore, Source

log = logging.getLogger("thespis.projections")

CHUNK: Final = 1_000
"""Events folded before the event loop gets a turn."""
PIPELINED: Final = 8
"""Pages folded before others get their turn with the build."""
LOUD: Final = 10
"""Parked keys of one batch that are logged one by one."""
MAX_BACKOFF: Final = 5.0
"""Seconds."""
PAUSE: Final = 0.02
"""Seconds to rest after a small batch: a busy log takes few commits. Whoever waits for a position ends the rest."""
QUIET: Final = 0.2
"""The same, when nothing in the batch was for this projection: only its cursor was stored."""
BESIDE: Final = 0.25
"""Seconds between steps of a build that nobody reads."""
INDEX_TRIES: Final = 3


class Gone(Exception):
    """The build is no longer folded: it was dropped."""


class Moved(Exception):
    """Somebody else stored a batch of this build: start again from what is stored."""


class Runner:
    """Folds one build until it is dropped. All failures are retried; what cannot be folded is parked by the fold.

    A build that is not live is folded up to where the live one is and never beyond, so that the two can be compared and
    switched at any time. `turn` is held around every step, so that who holds it can rely on this build standing still
    here. `hurry` is set while somebody waits. `switch` lets a build that has caught up take the live one's place.
    """

    def __init__(
        self,
        projection: Projection,
        build: Build,
        source: Source,
        store: ReadModelStore,
        *,
        batch: int,
        poll: float,
        committed: Callable[[Build], None],
        live_turn: asyncio.Lock,
        hurry: asyncio.Event,
        switch: Callable[[Runner], Awaitable[None]],
    ) -> None:
        self.projection = projection
        self.build = build
        self.head = 0
        self._told = 0
        self.error = ""
        self.own_turn = asyncio.Lock()
        """Held around every step while the build is not live. Take that of the live build first."""
        self._live_turn = live_turn
        self._switch = switch
        self._hurry = hurry
        self._moved_from = build.cursor
        self._source = source
        self._store = store
        self._batch = batch
        self._pages = Pages(projection, source, batch)
        self._poll = poll
        self._committed = committed
        self._fold = Fold(projection)
        self._careful = 0
        """Up to this position pages are stored one by one: in one of them is a row that does not fit."""
        self._stale = True
        self._index_tries = 0
        self._failures = 0
        """In a row, without anything stored in between."""
        self._idle = False
        """Nothing but the cursor was stored last."""
        self._bell = asyncio.Event()

    @property
    def turn(self) -> asyncio.Lock:
        """What is held around every step: that of the live build, if it is that."""
        return self._live_turn if self.build.state == "live" else self.own_turn

    def wake(self, head: int = 0) -> None:
        """There may be something to fold, perhaps up to `head`."""
        self._told = max(self._told, head)
        if self.build.state == "live":
            self._bell.set()

    def forget(self) -> None:
        """Start again from what is stored: something failed, or somebody else wrote."""
        self._pages.drop()
        self._stale = True

    def doubt(self) -> None:
        """Somebody else changed the builds: look before the next step. For others than the runner itself."""
        self._stale = True

    async def run(self) -> None:
        """Fold until it is gone (returns) or cancelled."""
        try:
            while True:
                try:
                    busy = await self._work()
                    self.error, self._failures = "", 0
                except Gone:
                    return
                except Exception as error:
                    self.forget()
                    self._failures += 1
                    if not isinstance(error, Moved):
                        self._complain(error)
                    await _until(self._bell, min(self._poll * 0.05 * 2 ** min(self._failures, 10), MAX_BACKOFF))
                    continue
                if not busy:
                    await _until(self._bell, self._poll if self.build.state == "live" else min(self._poll, BESIDE))
                elif (pause := self._pause()) > 0:
                    await _until(self._hurry, pause)
        finally:
            self._pages.drop()

    def _complain(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self.error:
            expected = isinstance(error, ThespisError)
            log.warning("projection %s: %s", self.projection.name, text, exc_info=None if expected else error)
        self.error = text

    def _pause(self) -> float:
        """Seconds to let events gather: none while catching up."""
        moved, self._moved_from = self.build.cursor - self._moved_from, self.build.cursor
        if moved >= self._batch // 2 or not moved:
            return 0.0
        return QUIET if self._idle else PAUSE

    async def _work(self) -> bool:
        """One step, or what is due once everything is folded. False: nothing to do."""
        self._bell.clear()
        if self.build.state != "live":
            return await self._beside()
        async with self.turn:
            if self._stale:
                await self._reload()
                if self.build.state != "live":
                    return True
            if self.build.cursor >= self.head:
                self.head = await self._look()
            behind = self.head - self.build.cursor
            if behind < 0:
                raise Corrupt(
                    f"projection {self.projection.name} is at {self.build.cursor}, the log ends at {self.head}",
                    hint="if the log was restored from a backup, rebuild the projection",
                )
            # Under steady writes the head itself is never reached.
            if not self.build.indexed and behind <= self._batch and self._index_tries < INDEX_TRIES:
                await self._index()
                return True
            if behind:
                await self._step()
            return behind > 0

    async def _beside(self) -> bool:
        """One step towards the live build. One that is to take its place does so as soon as it is near."""
        async with self.own_turn:
            builds = await self._store.builds(self.projection.name)
            mine = next((b for b in builds if b.number == self.build.number), None)
            if self._stale or mine is None or (mine.state, mine.revision) != (self.build.state, self.build.revision):
                await self._reload()
                return True
            self.head = next((b.cursor for b in builds if b.state == "live"), 0)
            behind = self.head - self.build.cursor
            if behind <= self._batch and not self.build.indexed and self._index_tries < INDEX_TRIES:
                await self._index()
                return True
            if self.build.state == "standby" or behind > self._batch:
                if behind > 0:
                    await self._step()
                return behind > self._batch
        await self._switch(self)
        self.forget()
        return False

    async def advance(self, position: int) -> Build:
        """Fold up to and with a position that is not beyond the live build's, and no further; `turn` must be held."""
        try:
            while True:
                if self._stale:
                    await self._reload()
                if self.build.cursor >= position:
                    return self.build
                self.head = position
                await self._step()
        except BaseException:
            self.forget()
            raise

    async def _look(self) -> int:
        """The head: as told when it is so near that the page itself shows whether it is true, else as looked up."""
        if 0 < self._told - self.build.cursor <= NEAR:
            return self._told
        return await self._source.head()

    async def _index(self) -> None:
        self._index_tries += 1
        if self._index_tries == INDEX_TRIES:
            log.error("projection %s goes on without its indexes if this fails again", self.projection.name)
        await self._store.index(self.build)
        self._index_tries = 0
        await self._reload()

    # -- state
    async def _reload(self) -> None:
        builds = await self._store.builds(self.projection.name)
        build = next((b for b in builds if b.number == self.build.number), None)
        if build is None:
            raise Gone
        parked = [p.key for p in await self._store.parked(build)] if build.parked else []
        self._pages.drop()
        self._fold.forget(parked)
        self._stale = False
        self._moved(build)

    def _moved(self, build: Build) -> None:
        self.build = build
        self._committed(build)

    # -- folding
    async def _step(self) -> None:
        """Fold some pages, each while the one before it is being stored."""
        start = cursor = upto = self.build.cursor
        storing: asyncio.Task[Build | None] | None = None
        try:
            if cursor < self._careful:
                upto, events = await self._pages.page(cursor, self.head)
                await self._store_batch(events, upto)
                return
            for _ in range(PIPELINED):
                upto, events = await self._pages.page(cursor, self.head)
                await self._folded(events)
                commit = self._fold.commit(upto)
                if storing is not None:
                    self._stored(await storing)
                self._fold.hand_over()
                storing = asyncio.create_task(self._commit(commit))
                cursor = upto
                if cursor >= self.head:
                    break
            if storing is not None:
                self._stored(await storing)
        except InvalidData:
            if start < self._careful:
                raise  # it has been looked for, and is in no event
            self._careful = upto
            self.forget()
        except Short as short:
            self._told = 0  # whoever rang was wrong, unless the log itself says so too
            if await self._source.head() >= self.head:
                raise Corrupt(str(short)) from short
            self.head = 0
            self.forget()
        finally:
            await _ended(storing)

    async def _store_batch(self, events: Sequence[Event], upto: int) -> None:
        """Fold and store; rows that do not fit their table are traced to their event by halving the batch."""
        try:
            await self._folded(events)
            await self._finish(self._fold.commit(upto))
            return
        except InvalidData as error:
            await self._reload()
            if not events:
                raise
            if len(events) == 1:
                self._fold.park(events[0], error)
                await self._finish(self._fold.commit(upto))
                return
        middle = len(events) // 2
        await self._store_batch(events[:middle], events[middle - 1].position)
        await self._store_batch(events[middle:], upto)

    async def _finish(self, commit: Commit) -> None:
        self._fold.hand_over()
        self._stored(await self._commit(commit))

    async def _folded(self, events: Sequence[Event]) -> None:
        fold = self._fold
        chunks = [events[i : i + CHUNK] for i in range(0, len(events), CHUNK)]
        prepared: list[list[Any]] = []
        for chunk in chunks:
            data, missing = fold.prepare(chunk)
            prepared.append(data)
            for table, keys in missing.items():
                wanted = list(keys)
                fold.rows.fill(table, wanted, await self._store.load(self.build, table, wanted))
            await asyncio.sleep(0)
        for chunk, data in zip(chunks, prepared, strict=True):
            fold.apply(chunk, data)
            await asyncio.sleep(0)

    async def _commit(self, commit: Commit) -> Build | None:
        stored = await self._store.commit(self.build, commit)
        self._idle = not (commit.changes or commit.held)
        name, poisoned = self.projection.name, commit.poisoned
        for poison in poisoned[:LOUD] if stored is not None else ():
            # Its key and what the error quotes may be personal, and a log file is out of reach of an erasure.
            where = (name, poison.position, poison.error.partition(":")[0], name)
            log.error("projection %s: event %d cannot be folded (%s), its key is parked, see "
                      "`thespis projections parked %s`", *where)  # fmt: skip
        if stored is not None and len(poisoned) > LOUD:
            log.error("projection %s: %d more keys are parked", name, len(poisoned) - LOUD)
        return stored

    def _stored(self, build: Build | None) -> None:
        if build is None:
            raise Moved
        self._failures = 0
        self._fold.settle()
        self._moved(build)


async def _until(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _ended(task: asyncio.Task[Build | None] | None) -> None:
    """Nothing is under way any more; what came of it is looked up in the store."""
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
        forget_outcome(task)
