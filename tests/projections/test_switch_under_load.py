"""On a real Postgres, while 2,000 events a second are appended: builds are switched and no reader notices."""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from events import chain
from events.address import partition_of
from events.envelope import Event
from events.store import Append, NewEvent
from events.system import ProjectionSwitched
from infra.postgres.migrate import migrate
from infra.postgres.projections import PostgresReadModels, open_read_models
from infra.postgres.projections_source import PostgresSource
from infra.postgres.store import PostgresStore
from projections import Chronicle, Projector, Query, Rows, replay
from tests.projections.scenes import balances, eventually, fold_balance, rows_of, running

ACCOUNTS = 40
TOGETHER = 20
"""Events appended at once, a hundred times a second."""
ENOUGH = 40_000
"""Events after which the writer rests, so that a slow machine comes to an end."""


@dataclass
class Load:
    """A writer of 2,000 events a second, and readers who check what they see."""

    log: PostgresStore
    store: PostgresReadModels
    projectors: list[Projector]
    head: int = 0
    seen: list[tuple[int, int, int]] = field(default_factory=list)
    """Of each look: the position, the version, the changes in all rows."""
    pages: int = 0
    waits: int = 0
    done: bool = False

    async def write(self) -> None:
        versions = [0] * ACCOUNTS
        begin, written = time.monotonic(), 0
        while not self.done and written < ENOUGH:
            appends: list[Append] = []
            for number in range(TOGETHER):
                account = (written + number) % ACCOUNTS
                stream, version = f"account/{account}", versions[account]
                id, data = f"{stream}-{version}", b'{"amount": 1}'
                link = chain.link(chain.GENESIS, "default", stream, version + 1, id, "Deposited", 1, "m", data)
                event = NewEvent(id, "Deposited", 1, data, "m", "c", link)
                appends.append(Append("default", stream, partition_of("default", stream), None, version, [event]))
                versions[account] += 1
            self.head = (await self.log.append(appends)).head
            for projector in self.projectors:
                projector.wake(self.head)
            written += TOGETHER
            await asyncio.sleep(max(0.0, begin + written / 2_000 - time.monotonic()))

    async def look(self) -> None:
        """Every page is one moment of one build, and never an earlier one than the page before."""
        last = 0
        while not self.done:
            page = await self.store.query("balances", Query("default", limit=1000))
            assert page.cursor >= last
            last = page.cursor
            self.seen.append((last, page.version, sum(row["changes"] for row in page.rows)))
            await asyncio.sleep(0)

    async def check(self) -> list[ProjectionSwitched]:
        """All that was seen is the fold of the log up to its position; returns the switches the log was told of."""
        events = await self.log.read(0, ENOUGH * 2)
        others = [e for e in events if e.type != "Deposited"]
        places = [e.position for e in others]
        for position, version, changes in self.seen:
            assert changes == (position - bisect_right(places, position)) * version
        assert min(len(self.seen), self.pages, self.waits) > 10
        return [msgspec.json.decode(e.data, type=ProjectionSwitched) for e in others]

    async def read_own_writes(self, projector: Projector) -> None:
        """Whoever waits for a position sees it, whichever build answers."""
        while not self.done:
            position = self.head
            await projector.wait("balances", position, 20)
            page = await self.store.query("balances", Query("default", limit=1))
            assert page.cursor >= position
            self.waits += 1
            await asyncio.sleep(0)

    async def turn_pages(self) -> None:
        """A list read page by page has every account once, all of one build, however often readers are switched."""
        await self.projectors[0].wait("balances", ACCOUNTS, 20)
        while not self.done:
            accounts: list[str] = []
            builds: set[int] = set()
            after: str | None = None
            while True:
                page = await self.store.query("balances", Query("default", limit=7, after=after))
                accounts += [row["account"] for row in page.rows]
                builds.add(page.build)
                after = page.next
                if after is None:
                    break
                await asyncio.sleep(0)
            assert (len(accounts), len(set(accounts)), len(builds)) == (ACCOUNTS, ACCOUNTS, 1)
            self.pages += 1

    async def running(self, act: Callable[[], Awaitable[None]]) -> None:
        """Everything at once, until `act` is over."""

        async def finish() -> None:
            try:
                await act()
            finally:
                self.done = True

        async with asyncio.TaskGroup() as group:
            for work in (
                self.write(),
                self.look(),
                self.turn_pages(),
                *map(self.read_own_writes, self.projectors),
                finish(),
            ):
                group.create_task(work)


def twice(rows: Rows, event: Event, data: Any) -> None:
    """Version 2 of balances counts every change twice."""
    fold_balance(rows, event, data)
    fold_balance(rows, event, data)


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[PostgresStore, PostgresSource, PostgresReadModels]]:
    await migrate(url)
    async with PostgresStore(url) as log, open_read_models(url, readers=6) as (source, store):
        yield log, source, store


async def became(store: PostgresReadModels, number: int) -> None:
    async def there() -> bool:
        return any(b.number == number and b.state == "live" for b in await store.builds("balances"))

    await eventually(there, 60)


async def test_a_rebuild_and_switches_back_and_forth_under_load(postgres_url: str) -> None:
    async with (
        opened(postgres_url) as (log, source, store),
        running(store, source, balances(), batch=2_000, chronicle=Chronicle(log)) as projector,
    ):
        await projector.wait("balances", 0, 20)
        load = Load(log, store, [projector])

        async def act() -> None:
            await projector.wait("balances", 2_000, 60)
            first = (await store.builds("balances"))[0]
            build = await projector.rebuild("balances")
            await became(store, build.number)
            await projector.switch("balances", first.number, "ada", "back")
            await projector.switch("balances", build.number, "ada", "and forth")
            await told(store)

        await load.running(act)
        head = await log.head()
        await projector.wait("balances", head, 60)
        switches = await load.check()
        assert [s.to_build for s in switches] == [2, 1, 2]
        assert [s.differing for s in switches] == [0, 0, 0]
        assert [s.compared for s in switches] == [ACCOUNTS] * 3
        assert await rows_of(store, "balances") == replay(balances(), await log.read(0, head))["balances"]


async def test_a_rolling_deploy_under_load(postgres_url: str) -> None:
    """The old host goes on with the old version while the new one is built, and back again."""
    async with (
        opened(postgres_url) as (log, source, store),
        open_read_models(postgres_url) as (source2, store2),
        running(store, source, balances(), batch=2_000, chronicle=Chronicle(log)) as old,
    ):
        await old.wait("balances", 0, 20)
        load = Load(log, store, [old])

        async def act() -> None:
            await old.wait("balances", 2_000, 60)
            async with running(store2, source2, balances(2, apply=twice), batch=500, chronicle=Chronicle(log)) as new:
                load.projectors.append(new)
                await became(store, 2)
                await old.switch("balances", 1, "ada", "back")
                await new.switch("balances", 2, "ada", "and forth")
                await told(store)
                load.projectors.remove(new)
                await old.switch("balances", 1, "ada", "the new host leaves")
                await told(store)

        await load.running(act)
        head = await log.head()
        await old.wait("balances", head, 60)
        switches = await load.check()
        assert [(s.from_version, s.to_version) for s in switches] == [(1, 2), (2, 1), (1, 2), (2, 1)]
        assert [s.differing for s in switches] == [ACCOUNTS] * 4
        assert {version for _, version, _ in load.seen} == {1, 2}
        assert await rows_of(store, "balances") == replay(balances(), await log.read(0, head))["balances"]


async def told(store: PostgresReadModels) -> None:
    async def there() -> bool:
        return not await store.switches("balances", unrecorded=True)

    await eventually(there, 60)
