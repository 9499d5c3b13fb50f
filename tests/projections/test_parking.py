"""A poisoned event parks its key, loudly, and nothing else; a person retries or discards it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from events.envelope import Event
from events.errors import InvalidData, NotFound
from events.registry import versioned
from infra.memory.projections import MemoryReadModels
from projections import Projection, ReadModelStore, Rows, Table, replay
from tests.projections.scenes import (
    BALANCES,
    Deposited,
    ListLog,
    balances,
    event,
    eventually,
    fold_balance,
    rows_of,
    running,
)

BAD = 666


def fragile(rows: Rows, event: Event, data: Any) -> None:
    """Writes, and only then finds out that it cannot go on."""
    fold_balance(rows, event, data)
    if data.amount == BAD:
        raise ValueError(f"cannot fold {data.amount}")


def mixed_log(events: int = 600, accounts: int = 7) -> ListLog:
    log = ListLog()
    for n in range(events):
        log.add(f"account/{n % accounts}", Deposited(BAD if n in (101, 206, 311) else 1))
    return log  # 101 and 206 are account/3, 311 is account/3 too


def only(log: ListLog, keep: Any) -> list[dict[str, Any]]:
    return replay(balances(), [e for e in log.events if keep(e)])["balances"]


async def test_a_poisoned_event_holds_its_own_key_and_nothing_else(
    store: ReadModelStore, caplog: pytest.LogCaptureFixture
) -> None:
    log = mixed_log()
    with caplog.at_level(logging.ERROR):
        async with running(store, log, balances(apply=fragile), batch=90) as projector:
            await projector.wait("balances", 600, 20)
            parked = await projector.parked("balances")
            status = (await projector.status())[0]
    assert [(p.key, p.position, p.error) for p in parked] == [("default/account/3", 102, "ValueError: cannot fold 666")]
    assert parked[0].held == sum(e.stream == "account/3" and e.position >= 102 for e in log.events)
    assert (status.parked, status.lag) == (1, 0)
    assert "event 102 cannot be folded (ValueError), its key is parked" in caplog.text
    assert "account/3" not in caplog.text
    assert await rows_of(store, "balances") == only(log, lambda e: e.stream != "account/3" or e.position < 102)


async def test_after_mending_a_retry_brings_the_rows_a_clean_fold_has(store: ReadModelStore) -> None:
    log = mixed_log()
    async with running(store, log, balances(apply=fragile), batch=90) as projector:
        await projector.wait("balances", 600, 20)
    async with running(store, log, balances(), batch=90) as mended:
        for _ in range(50):
            log.add("account/3", Deposited(2))
        await mended.wait("balances", 650, 20)
        assert (await mended.parked())[0].held > 50
        outcome = await mended.retry("balances", "default/account/3", "ada", "apply was mended")
        assert (outcome.parked, outcome.events) == (None, sum(e.stream == "account/3" for e in log.events[101:]))
        assert await mended.parked() == []
        log.add("account/3", Deposited(5))
        mended.wake()
        await mended.wait("balances", 651, 20)
    assert await rows_of(store, "balances") == only(log, lambda e: True)
    decisions = await store.decisions("balances")
    assert [(d.action, d.by, d.reason) for _, d in decisions][-1] == ("retry", "ada", "apply was mended")


async def test_a_retry_that_fails_again_keeps_the_key_parked_where_it_failed(store: ReadModelStore) -> None:
    log = mixed_log()
    async with running(store, log, balances(apply=fragile), batch=90) as projector:
        await projector.wait("balances", 600, 20)

    def half_mended(rows: Rows, event: Event, data: Any) -> None:
        if event.position == 207:
            raise RuntimeError("still")
        fold_balance(rows, event, data)

    async with running(store, log, balances(apply=half_mended), batch=90) as projector:
        outcome = await projector.retry("balances", "default/account/3", "ada", "")
        assert outcome.parked is not None
        assert (outcome.parked.position, outcome.parked.error) == (207, "RuntimeError: still")
        assert outcome.events == 15
    assert await rows_of(store, "balances") == only(log, lambda e: e.stream != "account/3" or e.position < 207)


async def test_a_discarded_key_is_free_again_and_its_events_are_let_go(store: ReadModelStore) -> None:
    log = mixed_log()
    async with running(store, log, balances(apply=fragile), batch=90) as projector:
        await projector.wait("balances", 600, 20)
        outcome = await projector.discard("balances", "default/account/3", "ada", "test data")
        assert outcome.parked is None
        log.add("account/3", Deposited(4))
        projector.wake()
        await projector.wait("balances", 601, 20)
    kept = only(log, lambda e: e.stream != "account/3" or e.position < 102 or e.position > 600)
    assert await rows_of(store, "balances") == kept
    ((_, decision),) = await store.decisions("balances")
    assert (decision.action, decision.reason, decision.events) == ("discard", "test data", outcome.events)


async def test_what_is_not_parked_cannot_be_retried_or_discarded(store: ReadModelStore) -> None:
    async with running(store, mixed_log(10), balances()) as projector:
        await projector.wait("balances", 10, 20)
        with pytest.raises(NotFound, match="default/account/3"):
            await projector.retry("balances", "default/account/3", "ada", "")
        with pytest.raises(NotFound, match="default/account/3"):
            await projector.discard("balances", "default/account/3", "ada", "")


async def test_events_held_while_a_retry_runs_are_not_forgotten(store: ReadModelStore) -> None:
    log = mixed_log()
    async with running(store, log, balances(apply=fragile)) as projector:
        await projector.wait("balances", 600, 20)
    async with running(store, log, balances(), batch=20) as mended:

        async def writes() -> None:
            for _ in range(200):
                log.add("account/3", Deposited(1))
                mended.wake()
                await asyncio.sleep(0)

        await asyncio.gather(writes(), mended.retry("balances", "default/account/3", "ada", ""))
        await mended.wait("balances", 800, 20)
        if await mended.parked():
            await mended.retry("balances", "default/account/3", "ada", "")
    assert await rows_of(store, "balances") == only(log, lambda e: True)


async def test_a_rebuild_with_mended_code_has_nothing_parked(store: ReadModelStore) -> None:
    log = mixed_log()
    async with running(store, log, balances(apply=fragile)) as projector:
        await projector.wait("balances", 600, 20)
    async with running(store, log, balances(2)) as projector:

        async def swapped() -> bool:
            return (await projector.status())[0].version == 2

        await eventually(swapped)
        assert await projector.parked() == []
    assert await rows_of(store, "balances") == only(log, lambda e: True)


@pytest.mark.parametrize(
    "data",
    [b"{not json", b'{"amount": "much"}', b'{"amount": 1e400}', b""],
)
async def test_data_that_does_not_fit_its_type_parks_or_is_skipped_as_declared(data: bytes) -> None:
    log = ListLog([event(1, "account/1", Deposited(1)), event(2, "account/1", data, type="Deposited")])
    log.add("account/1", Deposited(1))
    log.add("account/2", Deposited(1))
    parking, skipping = MemoryReadModels(), MemoryReadModels()
    async with running(parking, log, balances()) as projector:
        await projector.wait("balances", 4, 20)
        assert [(p.position, p.held) for p in await projector.parked()] == [(2, 2)]
    async with running(skipping, log, balances(undecodable="skip")) as projector:
        await projector.wait("balances", 4, 20)
        assert await projector.parked() == []
    assert [r["balance"] for r in await rows_of(parking, "balances")] == [1, 1]
    assert [r["balance"] for r in await rows_of(skipping, "balances")] == [2, 1]


async def test_a_schema_version_from_the_future_parks_and_older_ones_are_upcast() -> None:
    log = ListLog([event(1, "account/1", b'{"sum": 5}', type="Deposited", schema=1)])
    log.add("account/1", b'{"amount": 1}', type="Deposited", schema=2)
    log.add("account/2", b'{"amount": 1, "currency": "x"}', type="Deposited", schema=3)
    typed = versioned(Deposited, schema=2, upcasters={1: lambda old: {"amount": old["sum"]}})
    store = MemoryReadModels()
    async with running(store, log, balances(types=[typed])) as projector:
        await projector.wait("balances", 3, 20)
        (parked,) = await projector.parked()
    assert (parked.key, parked.position) == ("default/account/2", 3)
    assert "schema version 3" in parked.error
    assert [(r["account"], r["balance"]) for r in await rows_of(store, "balances")] == [("account/1", 6)]


def odd_projection(apply: Any, table: Table = BALANCES, **changes: Any) -> Projection:
    return Projection("odd", 1, tables=[table], types=["Deposited"], apply=apply, **changes)


NOTES = Table(
    "notes",
    {"tenant": str, "position": int, "text": str, "number": int, "extra": dict | None},
    key=("tenant", "position"),
    indexes=[("text",)],
)
FINE = {"text": "fine", "number": 1, "extra": None}


WRONG: dict[str, dict[str, Any]] = {
    "NUL": {"text": "a\0b"},
    "half a pair": {"text": "\ud800"},
    "number for text": {"text": 5},
    "nothing for text": {"text": None},
    "too long for an index": {"text": "x" * 5_000},
    "too large": {"number": 2**63},
    "float for int": {"number": 1.5},
    "bool for int": {"number": True},
    "not JSON": {"extra": {"x": object()}},
    "NUL in JSON": {"extra": {"x": "\0"}},
    "surplus column": {"surplus": 1},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_a_row_that_does_not_fit_its_table_is_traced_to_its_event(
    store: ReadModelStore, wrong: dict[str, Any]
) -> None:
    def apply(rows: Rows, event: Event, data: Any) -> None:
        row = {"tenant": event.tenant, "position": event.position, **FINE}
        rows.insert(NOTES, row | wrong if event.position == 37 else row)

    log = ListLog()
    for n in range(100):
        log.add(f"account/{n}", Deposited(1))
    async with running(store, log, odd_projection(apply, NOTES), batch=64) as projector:
        await projector.wait("odd", 100, 20)
        assert [(p.key, p.position) for p in await projector.parked()] == [("default/account/36", 37)]
        with pytest.raises(NotFound):
            await projector.retry("odd", "default/account/1", "ada", "")
        again = await projector.retry("odd", "default/account/36", "ada", "not mended at all")
        assert again.parked is not None
        assert (again.events, again.parked.position) == (0, 37)
    assert len(await rows_of(store, "odd")) == 99


async def test_an_insert_of_a_row_that_exists_is_traced_to_its_event(store: ReadModelStore) -> None:
    def apply(rows: Rows, event: Event, data: Any) -> None:
        position = 5 if event.position == 80 else event.position
        rows.insert(NOTES, {"tenant": event.tenant, "position": position, **FINE})

    log = ListLog()
    for n in range(100):
        log.add(f"account/{n}", Deposited(1))
    async with running(store, log, odd_projection(apply, NOTES), batch=30) as projector:
        await projector.wait("odd", 100, 20)
        assert [p.position for p in await projector.parked()] == [80]
    assert len(await rows_of(store, "odd")) == 99


async def test_reading_a_row_that_keys_does_not_name_says_so() -> None:
    store = MemoryReadModels()
    async with running(store, mixed_log(5), balances(keys=None)) as projector:
        await projector.wait("balances", 5, 20)
        parked = await projector.parked()
    assert ["not named by keys()" in p.error for p in parked] == [True] * 5


async def test_reading_a_column_that_is_not_declared_parks_instead_of_folding_something_else() -> None:
    def apply(rows: Rows, event: Event, data: Any) -> None:
        assert event.correlation

    store = MemoryReadModels()
    async with running(store, mixed_log(1), balances(apply=apply)) as projector:
        await projector.wait("balances", 1, 20)
        assert "correlation" in (await projector.parked())[0].error


async def test_a_parking_key_that_cannot_be_computed_parks_everything() -> None:
    def key(event: Event) -> str:
        raise KeyError("no key")

    store, log = MemoryReadModels(), mixed_log(600)
    async with running(store, log, balances(apply=fragile, park_key=key)) as projector:
        await projector.wait("balances", 600, 20)
        assert [(p.key, p.position, p.held) for p in await projector.parked()] == [("*", 102, 499)]
    async with running(store, log, balances(park_key=key)) as mended:
        assert (await mended.retry("balances", "*", "ada", "mended")).events == 499
    assert await rows_of(store, "balances") == only(log, lambda e: True)


async def test_a_key_and_an_error_of_any_text_can_be_kept(store: ReadModelStore) -> None:
    def apply(rows: Rows, event: Event, data: Any) -> None:
        raise ValueError("\0\ud800" + "x" * 10_000)

    def key(event: Event) -> str:
        return "\0\ud800" + "k" * 5_000 + str(event.position)

    async with running(store, mixed_log(3), balances(apply=apply, park_key=key)) as projector:
        await projector.wait("balances", 3, 20)
        assert len({p.key for p in await projector.parked()}) == 3


def test_replaying_for_a_test_says_which_event_fails() -> None:
    with pytest.raises(InvalidData, match="event 102 cannot be folded: ValueError: cannot fold 666"):
        replay(balances(apply=fragile), mixed_log().events)
