"""Two builds beside each other: of two versions, on two hosts, compared, switched, switched back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from events.errors import Conflict, NotFound
from events.system import ProjectionSwitched
from infra.memory.store import MemoryStore
from projections import Chronicle, Order, Projector, Query, ReadModelStore, replay
from tests.projections.builds import becomes, both, build_of, log_of, rebuilt, second, version_is
from tests.projections.scenes import Deposited, ListLog, balances, eventually, rows_of, running

# -- two versions on two hosts


async def test_an_older_host_keeps_the_old_rows_up_to_date_while_the_new_ones_are_built(store: ReadModelStore) -> None:
    log = log_of(300)
    async with running(store, log, balances(), batch=50) as old:
        await old.wait("balances", 300, 20)
        gate = asyncio.Event()

        class Slow(ListLog):
            async def read(self, *how: Any) -> Any:
                await gate.wait()
                return await super().read(*how)

        slow = Slow()
        slow.events = log.events
        async with running(store, slow, second(), batch=50) as new:
            await becomes(store, "building", 2)
            head = log.add("account/3", Deposited(7)).position
            assert await new.wait("balances", head, 20) == head
            page = await store.query("balances", Query("default", limit=100))
            assert (page.version, page.cursor) == (1, head)
            gate.set()
            await version_is(store, 2)
            head = log.add("account/4", Deposited(9)).position
            for projector in (old, new):
                assert await projector.wait("balances", head, 20) == head
            assert await rows_of(store, "balances") == replay(second(), log.events)["balances"]
            await becomes(store, "standby", 1, head)
            kept = await store.query("balances", Query("default", build=1, limit=100))
            assert kept.rows == replay(balances(), log.events)["balances"]


async def test_whoever_is_left_decides_nothing_that_the_other_decided(store: ReadModelStore) -> None:
    """A host of the older version meets a newer one live, and leaves it alone."""
    log = log_of(50)
    async with running(store, log, second()) as new:
        await new.wait("balances", 50, 20)
    async with running(store, log, balances()) as old:
        log.add()

        async def says() -> bool:
            return "version 2 is live" in (await old.status())[0].error

        await eventually(says)
        assert [(b.version, b.state, b.cursor) for b in await store.builds("balances")] == [(2, "live", 50)]
        with pytest.raises(Conflict, match="version 2"):
            await old.rebuild("balances")


async def test_rows_that_nobody_folds_say_since_when(store: ReadModelStore) -> None:
    log = log_of(50)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 50, 20)
    idle = Projector([second()], log, store)
    assert (await idle.status())[0].stale_since is None
    late = log.add()
    log.add()
    status = (await idle.status())[0]
    assert (status.version, status.cursor, status.lag, status.stale_since) == (1, 50, 2, late.recorded_at)
    page = await store.query("balances", Query("default"))
    assert await idle.stale("balances", page) == late.recorded_at
    assert await Projector([balances()], log, store).stale("balances", page) is None
    fresh = Projector([second()], log, store, clock=lambda: late.recorded_at + 1_000_000)
    assert (await fresh.status())[0].stale_since is None


# -- switching back


async def test_a_switch_back_and_forth_is_at_one_position_each_time(store: ReadModelStore) -> None:
    log = log_of(200)
    async with running(store, log, balances(), batch=30) as projector:
        await projector.wait("balances", 200, 20)
        first = await build_of(store, "live")
        fresh = await rebuilt(projector, store)
        for to in (first, fresh, first):
            head = log.add("account/1", Deposited(3)).position
            done = await projector.switch("balances", to.number, "ada", "to see")
            assert (done.to_build, done.by, done.reason) == (to.number, "ada", "to see")
            assert (done.comparison.unequal, done.comparison.compared) == (0, 10)
            await projector.wait("balances", head, 20)
            assert await rows_of(store, "balances") == replay(balances(), log.events)["balances"]
        again = await projector.switch("balances", first.number, "ada", "a repetition")
        assert again == done
    positions = [s.position for s in reversed(await store.switches("balances"))]
    assert positions == sorted(positions)
    assert len(positions) == 4


async def test_an_older_version_is_switched_back_to_where_its_code_runs_and_stays(store: ReadModelStore) -> None:
    log = log_of(100)
    async with both(store, log) as (old, new):
        back = (await store.switches("balances"))[0].from_build
        log.add()
        done = await old.switch("balances", back, "ada", "the new one is wrong")
        assert (done.from_version, done.to_version) == (2, 1)
        assert done.comparison.unequal == 10  # every account, doubled
        await new.wait("balances", len(log.events), 20)
        assert await rows_of(store, "balances") == replay(balances(), log.events)["balances"]
        await new.drop("balances", done.from_build)
        head = log.add().position
        await old.wait("balances", head, 20)

        async def says() -> bool:
            return "version 1 is live" in (await new.status())[0].error

        await eventually(says)
        assert [(b.version, b.declined) for b in await store.builds("balances")] == [(1, 2)]
        await rebuilt(old, store)
        assert (await build_of(store, "live")).declined == 2
        await new.rebuild("balances")
        await version_is(store, 2)


async def test_a_host_without_the_code_lets_the_one_that_has_it_catch_up(store: ReadModelStore) -> None:
    log = log_of(100)
    async with both(store, log) as (_, new):
        back = (await store.switches("balances"))[0].from_build
        log.add()
        assert (await new.switch("balances", back, "ada", "")).to_version == 1


async def test_a_version_that_nobody_folds_is_not_switched_to(store: ReadModelStore) -> None:
    log = log_of(100)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 100, 20)
    async with running(store, log, second()) as projector:
        await version_is(store, 2)
        head = log.add().position
        await projector.wait("balances", head, 20)
        back = await build_of(store, "standby")
        with pytest.raises(Conflict, match="no host folds version 1") as caught:
            await projector.switch("balances", back.number, "ada", "")
        assert "code of that version" in caught.value.hint
        assert (await build_of(store, "live")).version == 2
        with pytest.raises(NotFound):
            await projector.switch("balances", 99, "ada", "")
        with pytest.raises(NotFound):
            await projector.switch("nothing", 1, "ada", "")


async def test_the_first_build_is_live_already(store: ReadModelStore) -> None:
    async with running(store, log_of(5), balances()) as projector:
        await projector.wait("balances", 5, 20)
        with pytest.raises(Conflict, match="live already"):
            await projector.switch("balances", (await build_of(store, "live")).number, "ada", "")


async def test_a_build_kept_is_dropped_when_its_time_is_over(store: ReadModelStore) -> None:
    now = 1_000_000_000
    log = log_of(20)
    async with running(store, log, balances(), clock=lambda: now, keep=60) as projector:
        await projector.wait("balances", 20, 20)
        fresh = await rebuilt(projector, store)
        assert (await build_of(store, "standby")).kept_until == 1_060_000_000
        now += 61_000_000

        async def alone() -> bool:
            return [b.number for b in await store.builds("balances")] == [fresh.number]

        await eventually(alone)


async def test_no_build_is_ever_ahead_of_the_live_one(store: ReadModelStore) -> None:
    log = log_of(100)
    async with running(store, log, balances(), batch=7) as projector:
        await projector.wait("balances", 100, 20)
        await rebuilt(projector, store)
        for n in range(60):
            projector.wake(log.add(f"account/{n % 10}").position)
            if n % 20 == 0:
                await projector.switch("balances", (await build_of(store, "standby")).number, "ada", "")
            builds = await store.builds("balances")
            live = next(b for b in builds if b.state == "live")
            assert all(b.cursor <= live.cursor for b in builds)


# -- told to the log


async def switches_in(log: MemoryStore) -> list[ProjectionSwitched]:
    import msgspec

    events = await log.read_stream("default", "system/projection-balances")
    assert {e.type for e in events} <= {"ProjectionSwitched"}
    assert [e.version for e in events] == list(range(1, len(events) + 1))
    return [msgspec.json.decode(e.data, type=ProjectionSwitched) for e in events]


async def test_every_switch_is_an_event(store: ReadModelStore) -> None:
    log, journal = log_of(100), MemoryStore()
    async with running(store, log, balances(), chronicle=Chronicle(journal)) as projector:
        await projector.wait("balances", 100, 20)
        first = await build_of(store, "live")
        fresh = await rebuilt(projector, store)
        await projector.switch("balances", first.number, "ada", "back")

        async def told() -> bool:
            return not await store.switches("balances", unrecorded=True)

        await eventually(told)
    one, two = await switches_in(journal)
    assert (one.from_build, one.to_build, one.position, one.compared, one.differing, one.by) == (
        first.number, fresh.number, 100, 10, 0, "projector",
    )  # fmt: skip
    assert (two.from_build, two.to_build, two.by, two.reason) == (fresh.number, first.number, "ada", "back")
    assert [s.recorded for s in await store.switches("balances")] == [2, 1]


async def test_a_host_that_died_right_after_a_switch_is_spoken_for_by_the_next(store: ReadModelStore) -> None:
    log, journal = log_of(100), MemoryStore()
    async with running(store, log, balances()) as mute:
        await mute.wait("balances", 100, 20)
        await rebuilt(mute, store)
    (switch,) = await store.switches("balances", unrecorded=True)
    # Another one died after the append, before it could note that.
    await Chronicle(journal).record(switch)
    chronicles = [Chronicle(journal), Chronicle(journal)]
    async with running(store, log, balances(), chronicle=chronicles[0]):

        async def told() -> bool:
            return not await store.switches("balances", unrecorded=True)

        await eventually(told)
    assert len(await switches_in(journal)) == 1
    assert [s.recorded for s in await store.switches("balances")] == [1]


async def test_many_who_tell_the_same_switch_tell_it_once(store: ReadModelStore) -> None:
    log, journal = log_of(20), MemoryStore()
    async with running(store, log, balances()) as mute:
        await mute.wait("balances", 20, 20)
        for _ in range(2):
            await rebuilt(mute, store)
    await asyncio.gather(*(Chronicle(journal).catch_up(store, "balances") for _ in range(5)))
    assert len(await switches_in(journal)) == 2


async def test_pages_of_a_reader_stay_in_their_build_through_switches(store: ReadModelStore) -> None:
    log = log_of(100)
    async with both(store, log):
        found: list[Any] = []
        page = await store.query("balances", Query("default", order=[Order("balance", True)], limit=3))
        found += page.rows
        back = (await store.switches("balances"))[0].from_build
        other = Projector([balances()], log, store)
        await other.switch("balances", back, "ada", "")
        while page.next is not None:
            page = await store.query(
                "balances", Query("default", order=[Order("balance", True)], limit=3, after=page.next)
            )
            found += page.rows
        assert page.version == 2
        assert sorted(found, key=lambda r: r["account"]) == replay(second(), log.events)["balances"]
