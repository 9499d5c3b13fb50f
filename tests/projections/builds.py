"""Logs and projections of which there are two builds, and waiting for what becomes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from projections import Build, Projection, Projector, ReadModelStore, Rows
from tests.projections.scenes import Deposited, ListLog, balances, eventually, fold_balance, running


def log_of(events: int) -> ListLog:
    log = ListLog()
    for n in range(events):
        log.add(f"account/{n % 10}", Deposited(1 + n % 5))
    return log


def doubled(rows: Rows, event: Any, data: Any) -> None:
    """Version 2 of balances: twice as much."""
    fold_balance(rows, event, Deposited(2 * data.amount))


def second() -> Projection:
    return balances(2, apply=doubled)


async def build_of(store: ReadModelStore, state: str) -> Build:
    return next(b for b in await store.builds("balances") if b.state == state)


async def becomes(store: ReadModelStore, state: str, number: int, cursor: int = 0) -> None:
    async def there() -> bool:
        found = [b for b in await store.builds("balances") if b.number == number]
        return bool(found) and found[0].state == state and found[0].cursor >= cursor

    await eventually(there)


async def version_is(store: ReadModelStore, version: int) -> None:
    async def there() -> bool:
        return [b.version for b in await store.builds("balances") if b.state == "live"] == [version]

    await eventually(there)


async def rebuilt(projector: Projector, store: ReadModelStore) -> Build:
    """A rebuild that was carried out; returns the live build."""
    build = await projector.rebuild("balances")
    await becomes(store, "live", build.number)
    return build


@asynccontextmanager
async def both(store: ReadModelStore, log: ListLog) -> AsyncIterator[tuple[Projector, Projector]]:
    """A host with version 1, and one with version 2, which is live by now."""
    async with running(store, log, balances()) as old:
        await old.wait("balances", len(log.events), 20)
        async with running(store, log, second()) as new:
            await version_is(store, 2)
            yield old, new
