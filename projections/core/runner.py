"""One build at work: pages of the log, folded in memory, stored with the cursor in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from events.envelope import Event
from events.errors import Corrupt, InvalidData, ThespisError
from projections.core.definition import Projection
from projections.core.fold import Fold
from projections.core.port import Build, Commit, ReadModelStore, Source

log = logging.getLogger("thespis.projections")

CHUNK: Final = 1_000
"""Events folded before the event loop gets a turn."""
MAX_SPAN: Final = 200_000
"""Positions one read may cover when only some types are wanted."""
SWAP_TRIES: Final = 50
MAX_BACKOFF: Final = 5.0
"""Seconds."""


class Retired(Exception):
    """The build is no longer folded: another one took its place, or it was dropped."""


class Moved(Exception):
    """Somebody else stored a batch of this build: start again from what is stored."""


class Runner:
    """Folds one build until it is retired. All failures are retried; what cannot be folded is parked by the fold.

    `turn` is held around every step, so that who holds it can rely on this build standing still here.
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
    ) -> None:
        self.projection = projection
        self.build = build
        self.head = 0
        self.error = ""
        self.turn = live_turn if build.state == "live" else asyncio.Lock()
        self._live_turn = live_turn
        self._source = source
        self._store = store
        self._batch = batch
        self._span = batch
        self._poll = poll
        self._committed = committed
        self._fold = Fold(projection)
        self._stale = True
        self._bell = asyncio.Event()
        self._ahead: tuple[int, int, asyncio.Task[list[Event]]] | None = None
        names = projection.type_names
        self._types = None if projection.every else names
        self._data_of = names if projection.every and "data" not in (projection.reads or ("data",)) else None

    def wake(self) -> None:
        """There may be something to fold."""
        self._bell.set()

    def forget(self) -> None:
        """Start again from what is stored: something failed, or somebody else wrote."""
        self._drop_ahead()
        self._stale = True

    async def run(self) -> None:
        """Fold until retired (returns) or cancelled."""
        failures = 0
        try:
            while True:
                try:
                    busy = await self._work()
                    self.error, failures = "", 0
                except Retired:
                    return
                except Exception as error:
                    self.forget()
                    failures += 1
                    if not isinstance(error, Moved):
                        self._complain(error)
                    await self._rest(min(0.05 * 2**failures, MAX_BACKOFF))
                    continue
                if not busy:
                    await self._rest(self._poll)
        finally:
            self._drop_ahead()

    def _complain(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self.error:
            expected = isinstance(error, ThespisError)
            log.warning("projection %s: %s", self.projection.name, text, exc_info=None if expected else error)
        self.error = text

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bell.wait()

    async def _work(self) -> bool:
        """One step, or what is due once everything is folded. False: nothing to do."""
        self._bell.clear()
        async with self.turn:
            if self._stale:
                await self._reload()
            if self.build.cursor >= self.head:
                self.head = await self._source.head()
            if self.build.cursor < self.head:
                await self._step()
                return True
            if self.build.cursor > self.head:
                raise Corrupt(
                    f"projection {self.projection.name} is at {self.build.cursor}, the log ends at {self.head}",
                    hint="if the log was restored from a backup, rebuild the projection",
                )
            if not self.build.indexed:
                await self._store.index(self.build)
                await self._reload()
                return True
        if self.build.state == "building":
            await self._swap()
            return True
        return False

    async def _swap(self) -> None:
        """Take the live build's place. It stands still meanwhile, so that it cannot stay ahead for ever."""
        async with self._live_turn, self.turn:
            for _ in range(SWAP_TRIES):
                if await self._store.swap(self.build):
                    await self._reload()
                    log.info("projection %s: build %d is live", self.projection.name, self.build.number)
                    return
                await self._reload()
                self.head = await self._source.head()
                if self.build.cursor < self.head:
                    await self._step()

    # -- state
    async def _reload(self) -> None:
        builds = await self._store.builds(self.projection.name)
        build = next((b for b in builds if b.number == self.build.number), None)
        if build is None or build.state == "retired":
            raise Retired
        parked = [p.key for p in await self._store.parked(build)] if build.parked else []
        self._fold.forget(parked)
        self._stale = False
        self._moved(build)
        if build.state == "live":
            self.turn = self._live_turn

    def _moved(self, build: Build) -> None:
        self.build = build
        self._committed(build)

    # -- folding
    async def _step(self) -> None:
        upto, events = await self._page()
        await self._store_batch(events, upto)

    async def _page(self) -> tuple[int, list[Event]]:
        cursor = self.build.cursor
        if self._ahead is None or self._ahead[0] != cursor:
            self._drop_ahead()
            self._read_ahead(cursor)
        assert self._ahead is not None
        _, upto, task = self._ahead
        events = await asyncio.shield(task)
        self._ahead = None
        if self._types is None and len(events) != upto - cursor:
            raise Corrupt(f"the log holds {len(events)} events after position {cursor} up to {upto}")
        if self._types is not None:
            if len(events) < self._batch // 4:
                self._span = min(self._span * 2, MAX_SPAN)
            elif len(events) > self._batch * 2:
                self._span = max(self._span // 2, self._batch)
        if upto < self.head:
            self._read_ahead(upto)
            await asyncio.sleep(0)
        return upto, events

    def _read_ahead(self, after: int) -> None:
        upto = min(after + self._span, self.head)
        read = self._source.read(after, upto, self.projection.columns, self._types, self._data_of)
        self._ahead = (after, upto, asyncio.ensure_future(read))

    def _drop_ahead(self) -> None:
        if self._ahead is not None:
            task = self._ahead[2]
            task.add_done_callback(_forget_outcome)
            task.cancel()
            self._ahead = None

    async def _store_batch(self, events: Sequence[Event], upto: int) -> None:
        """Fold and store; rows that do not fit their table are traced to their event by halving the batch."""
        try:
            await self._folded(events)
            commit = self._fold.commit(upto)
            await self._commit(commit)
            return
        except InvalidData as error:
            await self._reload()
            if not events:
                raise
            if len(events) == 1:
                self._fold.park(events[0], error)
                await self._commit(Commit(upto, (), tuple(self._fold.poisoned), tuple(self._fold.held)))
                return
        middle = len(events) // 2
        await self._store_batch(events[:middle], events[middle - 1].position)
        await self._store_batch(events[middle:], upto)

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

    async def _commit(self, commit: Commit) -> None:
        for poison in commit.poisoned:
            log.error(
                "projection %s: event %d cannot be folded, key %s is parked: %s",
                self.projection.name,
                poison.position,
                poison.key,
                poison.error,
            )
        stored = await self._store.commit(self.build, commit)
        if stored is None:
            raise Moved
        self._fold.settle()
        self._moved(stored)


def _forget_outcome(task: asyncio.Task[list[Event]]) -> None:
    if not task.cancelled():
        task.exception()
