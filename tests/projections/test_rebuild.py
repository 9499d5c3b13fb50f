"""A new build fills beside the live one and takes its place: readers see no gap, no double and no downtime."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from events.envelope import Event
from events.errors import Conflict
from projections import PROJECTIONS, Order, Projector, Query, ReadModelStore, Rows, Table, replay
from tests.projections.scenes import (
    Deposited,
    ListLog,
    balances,
    eventually,
    rows_of,
    running,
)

ENOUGH = 6_000
"""Events after which a writer rests, so that a slow machine catches up."""


def digest(rows: Any) -> str:
    return sha256(msgspec.json.encode(rows, order="deterministic")).hexdigest()


def log_of(events: int) -> ListLog:
    log = ListLog()
    for n in range(events):
        log.add(f"account/{n % 40}", Deposited(n % 5))
    return log


async def live(projector: Projector, name: str, number: int) -> None:
    async def swapped() -> bool:
        return any(s.projection == name and s.build == number for s in await projector.status())

    await eventually(swapped)


async def test_dropped_and_rebuilt_under_writes_every_projection_comes_back_equal(store: ReadModelStore) -> None:
    log = log_of(2_000)
    async with running(store, log, *PROJECTIONS, balances(), batch=150) as projector:
        for name in projector.projections:
            await projector.wait(name, 2_000, 30)
        done = asyncio.Event()

        async def write() -> None:
            while not done.is_set() and len(log.events) < ENOUGH:
                projector.wake(log.add(f"account/{len(log.events) % 40}", Deposited(1)).position)
                await asyncio.sleep(0.001)

        writer = asyncio.create_task(write())
        try:
            for name in projector.projections:
                build = await projector.rebuild(name)
                await live(projector, name, build.number)
        finally:
            done.set()
            await writer
        for name, projection in projector.projections.items():
            await projector.wait(name, len(log.events), 30)
            for table, rows in replay(projection, log.events).items():
                assert digest(await rows_of(store, name, table)) == digest(rows)


async def test_a_reader_sees_no_gap_and_no_double_while_builds_are_swapped(store: ReadModelStore) -> None:
    """Each page is a moment of one build: its rows are exactly the fold up to its cursor, which never goes back."""
    log = log_of(300)
    async with running(store, log, balances(), batch=40) as projector:
        await projector.wait("balances", 300, 20)
        done = asyncio.Event()

        async def write() -> None:
            while not done.is_set() and len(log.events) < ENOUGH:
                projector.wake(log.add(f"account/{len(log.events) % 40}", Deposited(1)).position)
                await asyncio.sleep(0.001)

        async def read() -> int:
            seen = looks = 0
            while not done.is_set():
                page = await store.query("balances", Query("default", limit=1000))
                assert page.cursor >= seen
                seen, looks = page.cursor, looks + 1
                assert len(page.rows) == 40
                assert sum(r["changes"] for r in page.rows) == page.cursor
                await asyncio.sleep(0)
            return looks

        async def turn_over() -> None:
            try:
                for _ in range(5):
                    build = await projector.rebuild("balances")
                    await live(projector, "balances", build.number)
            finally:
                done.set()

        _, looks, *_ = await asyncio.gather(write(), read(), turn_over())
        assert looks > 10
        await projector.wait("balances", len(log.events), 20)
    assert await rows_of(store, "balances") == replay(balances(), log.events)["balances"]


async def test_pages_join_across_a_swap(store: ReadModelStore) -> None:
    log = log_of(400)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 400, 20)
        first = await store.query("balances", Query("default", order=[Order("balance", True)], limit=13))
        build = await projector.rebuild("balances")
        await live(projector, "balances", build.number)
        query = Query("default", order=[Order("balance", True)], limit=1000, after=first.next)
        rest = await store.query("balances", query)
        accounts = [r["account"] for r in [*first.rows, *rest.rows]]
        assert (len(accounts), len(set(accounts))) == (40, 40)


TOTALS = Table("totals", {"tenant": str, "account": str, "total": int}, key=("tenant", "account"))


def fold_total(rows: Rows, event: Event, data: Any) -> None:
    row = rows.get(TOTALS, event.tenant, event.stream)
    total = data.amount + (row["total"] if row is not None else 0)
    rows.put(TOTALS, {"tenant": event.tenant, "account": event.stream, "total": total})


async def test_a_new_version_with_other_tables_replaces_the_old_one_by_itself(store: ReadModelStore) -> None:
    log = log_of(500)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 500, 20)
    second = balances(
        2, tables=[TOTALS], apply=fold_total, keys=lambda event, data: [(TOTALS, (event.tenant, event.stream))]
    )
    async with running(store, log, second, batch=50) as projector:
        while (page := await store.query("balances", Query("default", limit=1000))).version == 1:
            assert {"balance", "changes"} <= set(page.rows[0])  # the old rows, by their own columns, until the swap
            assert page.cursor == 500
            await asyncio.sleep(0)
        assert await rows_of(store, "balances") == replay(second, log.events)["totals"]
        status = (await projector.status())[0]
        assert (status.version, status.lag, status.building) == (2, 0, None)


async def test_a_build_that_takes_over_has_its_indexes(store: ReadModelStore) -> None:
    log = log_of(100)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 100, 20)
        build = await projector.rebuild("balances")
        await live(projector, "balances", build.number)
        assert [b.indexed for b in await store.builds("balances") if b.state == "live"] == [True]


async def test_a_rebuild_asked_for_elsewhere_is_found_and_carried_out(store: ReadModelStore) -> None:
    log = log_of(100)
    async with running(store, log, balances()) as projector, running(store, log, balances()) as elsewhere:
        await elsewhere.assign([])
        await projector.wait("balances", 100, 20)
        build = await elsewhere.rebuild("balances")
        await live(projector, "balances", build.number)


async def test_a_rebuild_interrupted_goes_on_where_it_was(store: ReadModelStore) -> None:
    log = log_of(3_000)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 3_000, 20)
    build = await store.rebuild(balances())

    async def some_way() -> bool:
        found = {b.number: b for b in await store.builds("balances")}[build.number]
        return found.cursor > 0

    async with running(store, log, balances(), batch=10):
        await eventually(some_way)
    async with running(store, log, balances(), batch=10) as projector:
        await live(projector, "balances", build.number)
    assert await rows_of(store, "balances") == replay(balances(), log.events)["balances"]


async def test_the_two_builds_before_stay_until_the_next_rebuild_or_until_they_are_dropped(
    store: ReadModelStore,
) -> None:
    log = log_of(100)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 100, 20)
        for _ in range(4):
            build = await projector.rebuild("balances")
            await live(projector, "balances", build.number)

        async def tidy() -> bool:
            return [b.state for b in await store.builds("balances")] == ["standby", "standby", "live"]

        await eventually(tidy)
        kept = await store.builds("balances")
        with pytest.raises(Conflict):
            await projector.drop("balances", kept[2].number)
        await projector.drop("balances", kept[0].number)
        assert [b.number for b in await store.builds("balances")] == [kept[1].number, kept[2].number]
    assert await rows_of(store, "balances") == replay(balances(), log.events)["balances"]


async def test_two_projectors_rebuild_the_same_projection_without_harm(store: ReadModelStore) -> None:
    log = log_of(1_000)
    async with (
        running(store, log, balances(), batch=30) as one,
        running(store, log, balances(), batch=50) as two,
    ):
        await one.wait("balances", 1_000, 20)
        first, second = await asyncio.gather(one.rebuild("balances"), two.rebuild("balances"))
        assert first.number == second.number
        await live(one, "balances", first.number)
    assert await rows_of(store, "balances") == replay(balances(), log.events)["balances"]
