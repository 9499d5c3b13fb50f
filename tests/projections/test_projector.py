"""The projector: rows and cursor are exact, whatever happens in between."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from events.errors import DeadlineExceeded, NotFound, StoreUnavailable
from infra.memory.projections import MemoryReadModels
from projections import PROJECTIONS, Projection, Query, ReadModelStore, actors, replay, throughput
from projections.core.port import Build, Commit
from projections.events import PROJECTION as EVENTS
from tests.projections.scenes import (
    Deposited,
    ListLog,
    Withdrawn,
    Wrapped,
    balances,
    eventually,
    rows_of,
    running,
)


def busy_log(events: int, accounts: int = 50, seed: int = 1) -> ListLog:
    chance = random.Random(seed)
    log = ListLog()
    for _ in range(events):
        data: Any = chance.choice([Deposited(chance.randrange(100)), Withdrawn(chance.randrange(100)), b"{}"])
        fields = {"type": "Looked"} if data == b"{}" else {}
        log.add(f"account/{chance.randrange(accounts)}", data, **fields)
    return log


async def test_rows_equal_a_fold_of_the_log(store: ReadModelStore) -> None:
    log = busy_log(3_000)
    async with running(store, log, *PROJECTIONS, balances(), batch=400) as projector:
        for name, projection in projector.projections.items():
            assert await projector.wait(name, len(log.events), 30) == len(log.events)
            for table, rows in replay(projection, log.events).items():
                assert await rows_of(store, name, table) == rows


async def test_new_events_are_folded_when_the_doorbell_rings(store: ReadModelStore) -> None:
    log = busy_log(10)
    async with running(store, log, balances(), poll=600.0) as projector:
        for _ in range(20):
            position = log.add().position
            projector.wake(position)
            await projector.wait("balances", position, 20)
            assert await rows_of(store, "balances") == replay(balances(), log.events)["balances"]


async def test_without_a_doorbell_the_log_is_looked_at_now_and_then(store: ReadModelStore) -> None:
    log = busy_log(10)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 10, 20)
        log.add("account/late", Deposited(7))

        async def there() -> bool:
            return any(r["account"] == "account/late" for r in await rows_of(store, "balances"))

        await eventually(there)


async def test_a_doorbell_that_promises_too_much_does_no_harm(store: ReadModelStore) -> None:
    log = busy_log(10)
    async with running(store, log, balances()) as projector:
        projector.wake(10**12)
        await projector.wait("balances", 10, 20)
        log.add("account/x", Deposited(3))
        await projector.wait("balances", 11, 20)
        assert (await projector.status())[0].cursor == 11


async def test_a_stopped_projector_goes_on_where_it_was(store: ReadModelStore) -> None:
    log = busy_log(500)
    async with running(store, log, balances(), batch=64) as projector:
        await projector.wait("balances", 500, 20)
    for _ in range(300):
        log.add("account/1", Deposited(2))
    async with running(store, log, balances(), batch=64) as projector:
        await projector.wait("balances", 800, 20)
    assert await rows_of(store, "balances") == replay(balances(), log.events)["balances"]


async def test_two_projectors_at_once_are_harmless(store: ReadModelStore) -> None:
    log = busy_log(2_000)
    async with (
        running(store, log, *PROJECTIONS, balances(), batch=50) as one,
        running(store, log, *PROJECTIONS, balances(), batch=70) as two,
    ):
        for _ in range(100):
            position = log.add("account/3", Deposited(1)).position
            one.wake(position)
            two.wake(position)
            await asyncio.sleep(0)
        for name in one.projections:
            await one.wait(name, 2_100, 30)
            await two.wait(name, 2_100, 30)
    for projection in (*PROJECTIONS, balances()):
        for table, rows in replay(projection, log.events).items():
            assert await rows_of(store, projection.name, table) == rows


class Flaky(Wrapped):
    """Fails before or after some commits, as a connection does."""

    def __init__(self, inner: ReadModelStore, seed: int) -> None:
        super().__init__(inner)
        self.chance = random.Random(seed)
        self.failures = 0

    async def commit(self, build: Build, commit: Commit) -> Build | None:
        fate = self.chance.random()
        if fate < 0.2:
            self.failures += 1
            raise StoreUnavailable("gone before the commit")
        stored = await self._inner.commit(build, commit)
        if fate < 0.4:
            self.failures += 1
            raise StoreUnavailable("gone after the commit")
        return stored


async def test_a_kill_between_apply_and_commit_loses_and_doubles_nothing(store: ReadModelStore) -> None:
    log = busy_log(2_000)
    flaky = Flaky(store, seed=7)
    async with running(flaky, log, *PROJECTIONS, balances(), batch=60, poll=0.01) as projector:
        for name in projector.projections:
            await projector.wait(name, 2_000, 60)
    assert flaky.failures > 20
    for projection in (*PROJECTIONS, balances()):
        for table, rows in replay(projection, log.events).items():
            assert await rows_of(store, projection.name, table) == rows


async def test_waiting_ends_at_its_deadline_and_unknown_names_are_not_found(store: ReadModelStore) -> None:
    log = busy_log(10)
    async with running(store, log, balances()) as projector:
        assert await projector.wait("balances", 10, 20) == 10
        with pytest.raises(DeadlineExceeded, match="position 11"):
            await projector.wait("balances", 11, 0.02)
        with pytest.raises(NotFound):
            await projector.wait("nothing", 1, 1)
        with pytest.raises(NotFound, match="no projection 'nothing'"):
            await projector.rebuild("nothing")


async def test_a_host_that_does_not_run_a_projection_can_wait_for_it_and_sees_its_lag(store: ReadModelStore) -> None:
    log = busy_log(100)
    async with running(store, log, balances()), running(store, log, balances()) as other:
        await other.assign([])
        await other.wait("balances", 100, 20)
        status = (await other.status())[0]
        assert (status.projection, status.cursor, status.lag, status.running) == ("balances", 100, 0, False)


async def test_lag_is_what_is_not_folded_yet(store: ReadModelStore) -> None:
    log = busy_log(100)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 100, 20)
        await projector.assign([])
        for _ in range(5):
            log.add()
        status = (await projector.status())[0]
        assert (status.cursor, status.head, status.lag) == (100, 105, 5)


async def test_a_projection_of_rare_events_moves_over_the_others(store: ReadModelStore) -> None:
    log = ListLog()
    for n in range(3_000):
        log.add("account/1", b"{}", type="Noise") if n % 1_000 else log.add("account/1", Deposited(1))
    async with running(store, log, balances(), batch=10) as projector:
        await projector.wait("balances", 3_000, 30)
    assert [r["balance"] for r in await rows_of(store, "balances")] == [3]


async def test_older_code_neither_folds_nor_replaces_what_newer_code_made(store: ReadModelStore) -> None:
    log = busy_log(50)
    async with running(store, log, balances(2)) as projector:
        await projector.wait("balances", 50, 20)
    log.add()
    async with running(store, log, balances(1)) as projector:

        async def said() -> bool:
            return "version 2 is live" in (await projector.status())[0].error

        await eventually(said)
        assert (await projector.status())[0].lag == 1
    assert len(await store.builds("balances")) == 1


async def test_changed_tables_without_a_new_version_are_reported_and_the_rest_goes_on(store: ReadModelStore) -> None:
    log = busy_log(50)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 50, 20)
    changed = balances(tables=[actors.PROJECTION.tables[0]])
    async with running(store, log, changed, throughput.PROJECTION) as projector:
        await projector.wait("throughput", 50, 20)

        async def said() -> bool:
            return (
                "version=2" in (await projector.status())[0].error or "changed" in (await projector.status())[0].error
            )

        await eventually(said)


async def test_a_log_with_a_hole_is_not_folded_past_it() -> None:
    class Holed(ListLog):
        async def read(self, *arguments: Any) -> Any:
            return [e for e in await super().read(*arguments) if e.position != 7]

    log = Holed(busy_log(10).events)
    everything = Projection("all", 1, tables=balances().tables, every=True, apply=lambda rows, event, data: None)
    async with running(MemoryReadModels(), log, everything) as projector:

        async def said() -> bool:
            found = await projector.status()
            return bool(found) and "9 events after position 0" in found[0].error

        await eventually(said)
        assert (await projector.status())[0].cursor == 0


async def test_a_log_that_ends_before_the_cursor_is_reported() -> None:
    store, log = MemoryReadModels(), busy_log(10)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 10, 20)
        del log.events[5:]

        async def said() -> bool:
            return (
                "rebuild" in (await projector.status())[0].error or "ends at 5" in (await projector.status())[0].error
            )

        await eventually(said)


async def test_tenants_do_not_mix(store: ReadModelStore) -> None:
    log = ListLog()
    for n in range(10):
        log.add("account/1", Deposited(n), tenant="acme" if n % 2 else "default")
    async with running(store, log, *PROJECTIONS, balances()) as projector:
        for name in projector.projections:
            await projector.wait(name, 10, 20)
    for tenant, total in (("acme", 25), ("default", 20)):
        page = await store.query("balances", Query(tenant))
        assert [(r["tenant"], r["balance"]) for r in page.rows] == [(tenant, total)]
        for name in ("actors", "events", "lineage", "throughput"):
            assert {r["tenant"] for r in (await store.query(name, Query(tenant))).rows} == {tenant}


async def test_a_doorbell_that_promises_a_little_too_much_does_no_harm(store: ReadModelStore) -> None:
    log = busy_log(10)
    async with running(store, log, EVENTS, balances(), poll=600.0) as projector:
        for name in projector.projections:
            await projector.wait(name, 10, 20)
        projector.wake(15)
        for _ in range(8):
            position = log.add("account/x", Deposited(1)).position
            projector.wake(position)
            for name in projector.projections:
                await projector.wait(name, position, 20)
        assert [s.error for s in await projector.status()] == ["", ""]
    assert [r["position"] for r in await rows_of(store, "events")] == list(range(1, 19))


async def test_one_who_waits_does_not_wait_for_others_to_gather(store: ReadModelStore) -> None:
    """A busy log makes the projector rest between small batches; a waiter ends the rest."""
    log = busy_log(10)
    async with running(store, log, balances(), poll=600.0) as projector:
        for _ in range(50):
            for _ in range(100):
                position = log.add("account/1", Deposited(1)).position
            projector.wake(position)
            await projector.wait("balances", position, 20)
    assert await rows_of(store, "balances") == replay(balances(), log.events)["balances"]


class Unindexable(Wrapped):
    tries = 0

    async def index(self, build: Build) -> None:
        self.tries += 1
        raise StoreUnavailable("the index cannot be made")


async def test_a_build_whose_indexes_cannot_be_made_is_folded_without_them() -> None:
    store, log = Unindexable(MemoryReadModels()), busy_log(10)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 10, 20)
        for _ in range(20):
            position = log.add("account/1", Deposited(1)).position
            projector.wake(position)
            await projector.wait("balances", position, 20)
    assert store.tries == 3
