"""A build is compared with the one it is to replace: what differs without a reason stays aside."""

from __future__ import annotations

from typing import Any

from projections import ReadModelStore, Rows, replay
from tests.projections.builds import becomes, build_of, log_of, rebuilt, version_is
from tests.projections.scenes import BALANCES, Deposited, balances, fold_balance, rows_of, running


async def test_a_rebuild_that_differs_without_a_reason_is_set_aside_until_a_person_decides(
    store: ReadModelStore,
) -> None:
    extra = 0

    def moody(rows: Rows, event: Any, data: Any) -> None:
        fold_balance(rows, event, Deposited(data.amount + (extra if event.stream == "account/3" else 0)))

    log = log_of(100)
    async with running(store, log, balances(apply=moody)) as projector:
        await projector.wait("balances", 100, 20)
        first = await build_of(store, "live")
        before = await rows_of(store, "balances")
        extra = 1
        build = await projector.rebuild("balances")
        await becomes(store, "standby", build.number)
        (aside,) = [b for b in await store.builds("balances") if b.number == build.number]
        assert "1 of 10 rows" in aside.note
        assert "account/3" in aside.note
        assert await rows_of(store, "balances") == before
        assert await store.switches("balances") == []
        done = await projector.switch("balances", build.number, "ada", "these are right")
        assert (done.comparison.differing, done.comparison.examples) == (1, ("balances default/account/3",))
        assert (await store.switches("balances"))[0].comparison.examples == ()  # kept for good: no keys in it
        assert (await build_of(store, "live")).note == ""
        assert await projector.switch("balances", first.number, "ada", "or not")


def refusing(*streams: str) -> Any:
    def fold(rows: Rows, event: Any, data: Any) -> None:
        if event.stream in streams:
            raise ValueError("no")
        fold_balance(rows, event, data)

    return fold


async def test_a_rebuild_that_parks_what_the_live_one_does_not_is_set_aside(store: ReadModelStore) -> None:
    log = log_of(100)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 100, 20)
    async with running(store, log, balances(apply=refusing("account/3"))) as projector:
        build = await projector.rebuild("balances")
        await becomes(store, "standby", build.number)
        aside = await build_of(store, "standby")
        assert (aside.parked, "default/account/3" in aside.note) == (1, True)
        done = await projector.switch("balances", build.number, "ada", "it has to")
        assert done.comparison.parks == ("default/account/3",)
        assert (done.comparison.missing, done.comparison.added) == (1, 0)
        assert [p.key for p in await projector.parked("balances")] == ["default/account/3"]


async def test_a_rebuild_that_mends_what_was_parked_takes_over_by_itself(store: ReadModelStore) -> None:
    log = log_of(100)
    async with running(store, log, balances(apply=refusing("account/3"))) as projector:
        await projector.wait("balances", 100, 20)
    async with running(store, log, balances()) as projector:
        await rebuilt(projector, store)
        assert await rows_of(store, "balances") == replay(balances(), log.events)["balances"]
        found = (await store.switches("balances"))[0].comparison
        assert (found.added, found.parked, found.parks) == (1, True, ())


async def test_what_was_let_go_parks_again_in_a_rebuild_which_takes_over_all_the_same(store: ReadModelStore) -> None:
    log = log_of(100)
    async with running(store, log, balances(apply=refusing("account/3"))) as projector:
        await projector.wait("balances", 100, 20)
        await projector.discard("balances", "default/account/3", "ada", "junk")
        await rebuilt(projector, store)
        assert [p.key for p in await projector.parked("balances")] == ["default/account/3"]


async def test_a_new_version_may_differ_and_says_how(store: ReadModelStore) -> None:
    log = log_of(100)
    async with running(store, log, balances()) as projector:
        await projector.wait("balances", 100, 20)
    other = [*BALANCES.columns.items(), ("note", str | None)]
    wider = type(BALANCES)("balances", dict(other), BALANCES.key)

    def fold(rows: Rows, event: Any, data: Any) -> None:
        if event.stream == "account/9":
            raise ValueError("no")
        row = rows.get(wider, event.tenant, event.stream)
        changes = row["changes"] + 1 if row else 1
        rows.put(
            wider,
            {
                "tenant": event.tenant,
                "account": event.stream,
                "balance": 0,
                "changes": changes,
                "last": event.position,
                "note": None,
            },
        )

    new = balances(2, tables=[wider], apply=fold, keys=lambda e, d: [(wider, (e.tenant, e.stream))])
    async with running(store, log, new):
        await version_is(store, 2)
    found = (await store.switches("balances"))[0].comparison
    assert (found.same, found.compared, found.differing, found.missing) == (False, 10, 9, 1)
    assert (found.parks, found.unexplained) == (("default/account/9",), "")
