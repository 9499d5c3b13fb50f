"""A log in a list, and events and read models to try on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from events.envelope import Event
from projections import Projection, Projector, Query, ReadModelStore, Ref, Row, Rows, Source, Table
from projections.core.source import _narrow


class Deposited(msgspec.Struct, frozen=True):
    amount: int


class Withdrawn(msgspec.Struct, frozen=True):
    amount: int


BALANCES = Table(
    "balances",
    {"tenant": str, "account": str, "balance": int, "changes": int, "last": int},
    key=("tenant", "account"),
    indexes=[("tenant", "balance")],
)


def balance_keys(event: Event, data: Any) -> list[Ref]:
    return [(BALANCES, (event.tenant, event.stream))]


def fold_balance(rows: Rows, event: Event, data: Any) -> None:
    row = rows.get(BALANCES, event.tenant, event.stream)
    if row is None:
        row = {"tenant": event.tenant, "account": event.stream, "balance": 0, "changes": 0, "last": 0}
    row["balance"] += data.amount if isinstance(data, Deposited) else -data.amount
    row["changes"] += 1
    row["last"] = event.position
    if row["balance"] > 10**9:
        raise ValueError(f"{event.stream} is too rich")
    rows.put(BALANCES, row)


def balances(version: int = 1, **changes: Any) -> Projection:
    declared: dict[str, Any] = {
        "tables": [BALANCES],
        "types": [Deposited, Withdrawn],
        "keys": balance_keys,
        "apply": fold_balance,
        "reads": ("tenant", "stream"),
    }
    return Projection("balances", version, **(declared | changes))


def event(position: int, stream: str = "account/1", data: Any = None, **fields: Any) -> Event:
    data = Deposited(1) if data is None else data
    body = data if isinstance(data, bytes) else msgspec.json.encode(data)
    values: dict[str, Any] = {
        "position": position,
        "tenant": "default",
        "stream": stream,
        "version": 1,
        "id": f"018f0000-0000-7000-8000-{position:012x}",
        "type": type(data).__name__,
        "schema": 1,
        "data": body,
        "causation": f"msg-{position}",
        "correlation": f"msg-{position}",
        "epoch": 1,
        "recorded_at": 1_700_000_000_000_000 + position * 1_000_000,
        "trace": None,
        "meta": None,
        "hash": b"",
    }
    return Event(**(values | fields))


class ListLog:
    """A `Source` over a list; the list may grow while it is read."""

    def __init__(self, events: Sequence[Event] = ()) -> None:
        self.events = list(events)

    def add(self, stream: str = "account/1", data: Any = None, **fields: Any) -> Event:
        made = event(len(self.events) + 1, stream, data, **fields)
        self.events.append(made)
        return made

    async def head(self) -> int:
        await asyncio.sleep(0)
        return len(self.events)

    async def read(
        self, after: int, upto: int, columns: Sequence[str], types: Sequence[str] | None, data_of: Sequence[str] | None
    ) -> list[Event]:
        await asyncio.sleep(0)
        return _narrow([e for e in self.events[after:upto] if types is None or e.type in types], columns)

    async def at(self, positions: Sequence[int], columns: Sequence[str]) -> list[Event]:
        await asyncio.sleep(0)
        return _narrow([self.events[p - 1] for p in sorted(positions) if p <= len(self.events)], columns)


async def eventually(what: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Poll until true; fails at the deadline."""
    async with asyncio.timeout(seconds):
        while True:
            if await what():
                return
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(
    store: ReadModelStore, source: Source, *projections: Projection, **options: Any
) -> AsyncIterator[Projector]:
    """A projector at work, stopped at the end."""
    projector = Projector(projections, source, store, **({"poll": 0.05} | options))
    await projector.start()
    try:
        yield projector
    finally:
        await projector.stop()


async def rows_of(store: ReadModelStore, name: str, table: str | None = None) -> list[Row]:
    """All rows of a table of the live build, in order of their keys."""
    found: list[Row] = []
    place: str | None = None
    while True:
        page = await store.query(name, Query(None, table, limit=1000, after=place))
        found += page.rows
        place = page.next
        if place is None:
            return found


class Wrapped:
    """A store that does something before, or instead of, its calls: subclasses override some of them."""

    def __init__(self, inner: ReadModelStore) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
