"""The projector of one host: runs the builds of the projections assigned to it, and answers for all of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from events.errors import DeadlineExceeded, NotFound
from projections.core.by_hand import Hand
from projections.core.chronicle import Chronicle
from projections.core.definition import Projection, check
from projections.core.follower import Follower
from projections.core.parking import Outcome, discard, live_build, retry
from projections.core.port import Build, Page, ParkedKey, ReadModelStore, Source, Switch
from projections.core.switching import KEEP, Order

log = logging.getLogger("thespis.projections")

BATCH: Final = 10_000
"""Positions folded into one transaction while catching up."""
POLL: Final = 1.0
"""Seconds between looks at the log when no doorbell rings."""
STALE: Final = 5_000_000
"""Microseconds after which rows that lack an event are called stale."""


class Status(msgspec.Struct, frozen=True):
    """How a projection stands. Positions count events: `lag` is how many the live build has not folded yet.

    `progress` is the cursor of a build under way, or None. `stale_since` is when the first event was recorded that the
    rows lack (µs), if that is a while ago: nobody folds them, or not quickly enough. `rate` is events a second lately,
    where it runs; `error` is what keeps it from going on, if anything.
    """

    projection: str
    version: int
    build: int
    cursor: int
    head: int
    lag: int
    parked: int
    building: int | None = None
    progress: int | None = None
    stale_since: int | None = None
    running: bool = False
    rate: float = 0.0
    error: str = ""


def _wall_clock() -> int:
    return time.time_ns() // 1000


class Projector:
    """Runs projections. Two projectors on the same projection are harmless: the cursor is compared and set."""

    def __init__(
        self,
        projections: Iterable[Projection],
        source: Source,
        store: ReadModelStore,
        *,
        batch: int = BATCH,
        poll: float = POLL,
        chronicle: Chronicle | None = None,
        clock: Callable[[], int] = _wall_clock,
        keep: float = KEEP,
    ) -> None:
        """`chronicle` tells the log of switches. `keep` is for how many seconds the build before a switch is kept up to
        date, so that it can be switched back to."""
        self.projections = check(projections)
        self._source = source
        self._store = store
        self._batch = batch
        self._poll = poll
        self._chronicle = chronicle
        self._clock = clock
        self._keep = keep
        self._followers: dict[str, Follower] = {}

    async def start(self, names: Iterable[str] | None = None) -> None:
        """Run these projections, or all."""
        await self.assign(self.projections if names is None else names)

    async def stop(self) -> None:
        """Stop all; what was not stored is folded again by whoever comes next."""
        await self.assign(())

    async def assign(self, names: Iterable[str]) -> None:
        """Run exactly these: a host that gains or loses partitions calls this."""
        wanted = [self._known(name).name for name in names]
        leaving = [self._followers.pop(name) for name in list(self._followers) if name not in wanted]
        for name in wanted:
            if name not in self._followers:
                follower = Follower(
                    self.projections[name],
                    self._source,
                    self._store,
                    batch=self._batch,
                    poll=self._poll,
                    chronicle=self._chronicle,
                    clock=self._clock,
                    keep=self._keep,
                )
                self._followers[name] = follower
                follower.start()
        await asyncio.gather(*(f.stop() for f in leaving))

    def wake(self, head: int = 0) -> None:
        """The doorbell: the log may have grown, to `head` it is said. What counts is what the log says itself."""
        for follower in self._followers.values():
            follower.wake(head)

    async def status(self) -> list[Status]:
        """All projections that have a live build, by name, whether they run here or not."""
        head, builds = await self._source.head(), await self._store.builds()
        live = [b for b in builds if b.state == "live"]
        missing = {b.cursor + 1 for b in live if b.cursor < head}
        times = await self._recorded(missing)
        return [self._status(b, builds, head, times.get(b.cursor + 1)) for b in live]

    async def stale(self, name: str, page: Page) -> int | None:
        """Of a page that no code here keeps up to date: when the first event it lacks was recorded (µs), else None."""
        known = self.projections.get(name)
        if page.state == "live" and known is not None and known.version == page.version:
            return None
        return self._stale((await self._recorded({page.cursor + 1})).get(page.cursor + 1))

    async def _recorded(self, positions: set[int]) -> dict[int, int]:
        found = await self._source.at(sorted(positions), ("position", "recorded_at")) if positions else []
        return {event.position: event.recorded_at for event in found}

    def _stale(self, missing_since: int | None) -> int | None:
        return missing_since if missing_since is not None and self._clock() - missing_since > STALE else None

    def _status(self, live: Build, builds: Sequence[Build], head: int, missing_since: int | None) -> Status:
        beside = [b for b in builds if b.projection == live.projection and b.state == "building"]
        follower = self._followers.get(live.projection)
        return Status(
            live.projection,
            live.version,
            live.number,
            live.cursor,
            max(head, live.cursor),
            max(0, head - live.cursor),
            live.parked,
            beside[0].number if beside else None,
            beside[0].cursor if beside else None,
            self._stale(missing_since),
            follower is not None,
            follower.rate if follower else 0.0,
            follower.error if follower else "",
        )

    async def wait(self, name: str, position: int, timeout: float) -> int:
        """Wait until the live rows include `position`; returns their cursor. Raises DeadlineExceeded, NotFound."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    follower = self._followers.get(name)
                    if follower is not None and follower.leads:
                        follower.wake()
                        await follower.reached(position, 0.25)
                        if follower.cursor >= position:
                            return follower.cursor
                    cursor = (await self._live(name)).cursor
                    if cursor >= position:
                        return cursor
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise DeadlineExceeded(f"projection {name} has not reached position {position} in {timeout:g} s") from None

    async def _live(self, name: str) -> Build:
        while True:
            try:
                return await live_build(self._store, name)
            except NotFound:
                if name not in self.projections:
                    raise
                await asyncio.sleep(0.01)  # whoever runs it is just making it

    async def rebuild(self, name: str) -> Build:
        """Begin a new build beside the live one; it takes its place once it has caught up. Raises NotFound."""
        build = await self._store.rebuild(self._known(name))
        follower = self._followers.get(name)
        if follower is not None:
            follower.look()
        return build

    async def switch(self, name: str, to: int, by: str, reason: str, timeout: float = 60.0) -> Switch:
        """Let readers see another build, whatever it holds, at the position where both stand.

        The build is first folded up to the live one, here or by a host that has its code. Raises NotFound, Conflict
        when it is live already or nobody can fold it, DeadlineExceeded.
        """
        follower = self._followers.get(name)
        hand = Hand(name, self.projections.get(name), self._source, self._store, follower)
        order = Order(to, by, reason, True, self._clock(), int(self._keep * 1e6))
        done = await hand.switch(order, timeout)
        if follower is not None:
            follower.switched()
        elif self._chronicle is not None:
            await self._chronicle.catch_up(self._store, name)
        return done

    async def drop(self, name: str, number: int) -> None:
        """Remove a build that is not live. Raises NotFound, Conflict."""
        await self._store.drop(name, number)
        if (follower := self._followers.get(name)) is not None:
            follower.look()

    async def parked(self, name: str | None = None) -> list[ParkedKey]:
        """Parked keys of the live builds, of one projection or of all."""
        builds = await self._store.builds(name)
        return [p for b in builds if b.state == "live" and b.parked for p in await self._store.parked(b)]

    async def retry(self, name: str, key: str, by: str, reason: str) -> Outcome:
        """Fold what is held for a parked key again. Raises NotFound."""
        projection = self._known(name)
        async with self._still(name):
            return await retry(projection, self._source, self._store, key, by, reason)

    async def discard(self, name: str, key: str, by: str, reason: str) -> Outcome:
        """Free a parked key without folding what is held for it. Raises NotFound."""
        async with self._still(name):
            return await discard(self._store, name, key, by, reason)

    def _still(self, name: str) -> asyncio.Lock | _Nothing:
        follower = self._followers.get(name)
        return follower.turn if follower is not None else _Nothing()

    def _known(self, name: str) -> Projection:
        projection = self.projections.get(name)
        if projection is None:
            raise NotFound(
                f"there is no projection {name!r} here", hint=f"there are: {', '.join(sorted(self.projections))}"
            )
        return projection


class _Nothing:
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...
