"""A switch that a person asks for: to any build that is kept, whatever it holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from events.errors import Conflict, DeadlineExceeded
from projections.core.definition import Projection
from projections.core.follower import Follower
from projections.core.port import Build, ReadModelStore, Source, Switch
from projections.core.query import build_gone
from projections.core.runner import Gone, Moved, Runner
from projections.core.switching import Advance, Order, carry_out, prepare

PATIENCE: Final = 3.0
"""Seconds without any progress after which a build counts as one that nobody folds."""
BATCH: Final = 5_000


class Hand:
    """Carries out what a person asks for on this host: `projection` is its code here, `follower` what runs it here."""

    def __init__(
        self, name: str, projection: Projection | None, source: Source, store: ReadModelStore, follower: Follower | None
    ) -> None:
        self._name = name
        self._projection = projection
        self._source = source
        self._store = store
        self._follower = follower

    async def switch(self, order: Order, timeout: float) -> Switch:
        """Let readers see the build. A repetition is answered with the switch that was made.

        Raises NotFound, Conflict when nobody folds it or it is the first and only one, DeadlineExceeded.
        """
        try:
            async with asyncio.timeout(timeout):
                while True:
                    done = await self._try(order)
                    if done is not None:
                        return done
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise DeadlineExceeded(
                f"build {order.to} of projection {self._name} has not caught up with the live one in {timeout:g} s",
                hint="what was folded is kept: ask again",
            ) from None

    async def _try(self, order: Order) -> Switch | None:
        store, name = self._store, self._name
        target = next((b for b in await store.builds(name) if b.number == order.to), None)
        if target is None:
            raise build_gone(name, order.to, None)
        if target.state == "live":
            last = await store.switches(name, 1)
            if last and last[0].to_build == order.to:
                return last[0]
            raise Conflict(f"build {order.to} of projection {name} is live already")
        try:
            async with self._turns(target, live=False) as advance:
                samples = await prepare(store, name, advance)
            async with self._turns(target, live=True) as advance:
                return (await carry_out(store, name, order, samples, advance)).switch
        except (Moved, Gone):
            return None

    @asynccontextmanager
    async def _turns(self, target: Build, live: bool) -> AsyncGenerator[Advance]:
        """Nothing else on this host folds the target (and the `live` build) meanwhile; yields what folds the target."""
        async with AsyncExitStack() as stack:
            if self._follower is not None:
                if live:
                    await stack.enter_async_context(self._follower.turn)
                if (runner := self._follower.runner(target.number)) is not None:
                    await stack.enter_async_context(runner.own_turn)
            code = self._projection
            if code is not None and (code.version, code.layouts) == (target.version, target.tables):
                yield self._runner(code, target).advance
            else:
                yield lambda position: self._watch(target, position)

    def _runner(self, code: Projection, target: Build) -> Runner:
        return Runner(
            code,
            target,
            self._source,
            self._store,
            batch=BATCH,
            poll=1.0,
            committed=lambda _build: None,
            live_turn=asyncio.Lock(),
            hurry=asyncio.Event(),
            switch=_nothing,
        )

    async def _watch(self, target: Build, position: int) -> Build:
        """Another host has the code of that version, and folds the build up to the live one."""
        loop = asyncio.get_running_loop()
        cursor, since = -1, loop.time()
        while True:
            found = next((b for b in await self._store.builds(self._name) if b.number == target.number), None)
            if found is None:
                raise Gone
            if found.cursor >= position:
                return found
            if found.cursor != cursor:
                cursor, since = found.cursor, loop.time()
            elif loop.time() - since > PATIENCE:
                raise Conflict(
                    f"build {target.number} of projection {self._name} stands at {cursor}, the live one at {position}:"
                    f" no host folds version {target.version}",
                    hint="start a host with the code of that version; it catches up, and can be switched to then",
                )
            await asyncio.sleep(0.05)


def _nothing(_runner: Runner) -> Awaitable[None]:
    return asyncio.sleep(0)
