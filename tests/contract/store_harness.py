"""The adapters of `EventStore` under one handle, and short ways to say what is appended."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

import asyncpg

from events.address import partition_of
from events.chain import link
from events.envelope import Answer
from events.ids import keyed
from events.store import Append, Appended, EventStore, Handled, Mail, NewEvent, Status
from infra.memory.store import MemoryStore
from infra.postgres import PostgresStore, migrate

ALL = range(64)
TENANT = "default"
_unique = count(1)


class Memory:
    """Hosts that share a `MemoryStore`."""

    name = "memory"

    def __init__(self) -> None:
        self.time = 1_700_000_000_000_000
        self.store = MemoryStore(now=lambda: self.time)

    async def open(self) -> EventStore:
        """The store as another host sees it."""
        return self.store

    async def expire(self, host: str) -> None:
        """Let everybody's lease run out."""
        self.time += 3_600_000_000

    async def later(self) -> None:
        """What comes next is at a later time than what was."""
        self.time += 1

    async def close(self) -> None:
        """Nothing is held."""


class Postgres:
    """Hosts with connections of their own to one database."""

    name = "postgres"
    kind = PostgresStore

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._stack = AsyncExitStack()

    async def open(self) -> EventStore:
        """Another host's store."""
        await migrate(self.dsn)
        return await self._stack.enter_async_context(self.kind(self.dsn, readers=2))

    async def execute(self, sql: str) -> None:
        """Reach around the adapter."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def expire(self, host: str) -> None:
        """Let a lease run out."""
        await self.execute(f"update thespis.hosts set beat_at = beat_at - 2 * ttl where id = '{host}'")

    async def later(self) -> None:
        """What comes next is at a later time than what was: the database's clock sees to it."""

    async def close(self) -> None:
        """Close what was opened."""
        await self._stack.aclose()


class ArchivedStore(PostgresStore):
    """What can go to the archive is there before anybody reads."""

    async def append(self, batch: Sequence[Append]) -> Appended:
        appended = await super().append(batch)
        await self.archive(appended.head, fewest=1)
        return appended

    async def bulk(self, appends: Sequence[Append]) -> Appended:
        appended = await super().bulk(appends)
        await self.archive(appended.head, fewest=1)
        return appended


class Archived(Postgres):
    """As `Postgres`, with old events in the archive."""

    name = "archived"
    kind = ArchivedStore


Harness = Memory | Postgres


async def first_answer(store: EventStore, id: str) -> Answer | None:
    """The first answer to a message, or None when it was not handled."""
    found = (await store.answers([id])).get(id)
    return found and found[1]


def uid(label: object = None) -> str:
    """A message id: the same for the same label, a new one without."""
    return keyed(TENANT, "test", "id", repr(label) if label is not None else f"new {next(_unique)}")


def event(data: bytes = b"{}", type: str = "Happened", **fields: Any) -> NewEvent:
    """An event; its place in the hash chain does not matter to the store."""
    values: dict[str, Any] = {
        "id": uid(),
        "schema": 1,
        "causation": "c",
        "correlation": "k",
        "hash": b"h" * 32,
    } | fields
    return NewEvent(type=type, data=data, **values)


def chained(stream: str, expected: int, previous: bytes, datas: Sequence[bytes]) -> list[NewEvent]:
    """Events linked as the kernel links them."""
    events: list[NewEvent] = []
    for n, data in enumerate(datas, expected + 1):
        new = event(data)
        previous = new.hash = link(previous, TENANT, stream, n, new.id, new.type, new.schema, new.causation, data)
        events.append(new)
    return events


def handled(label: object = None, body: bytes = b"{}", **fields: Any) -> Handled:
    """A message. The digest follows the body."""
    values: dict[str, Any] = {
        "digest": body[:16].ljust(16, b"."), "schema": 1, "sender": "user:ada", "time": 7, "causation": "",
        "correlation": "k",
    } | fields  # fmt: skip
    return Handled(id=uid(label), type="Do", data=body, **values)


def tell(to: str, ordinal: int = 0, data: bytes = b"{}", **fields: Any) -> Mail:
    """A tell on its way to an actor."""
    values: dict[str, Any] = {
        "id": uid(), "type": "Do", "schema": 1, "sender": "a/sender", "time": 7, "causation": "c", "correlation": "k",
    } | fields  # fmt: skip
    return Mail(partition=partition_of(TENANT, to), tenant=TENANT, stream=to, ordinal=ordinal, data=data, **values)


def write(stream: str, expected: int, events: int | Sequence[NewEvent] = 1, **parts: Any) -> Append:
    """An append guarded by its version alone, unless an epoch is given."""
    new = [event() for _ in range(events)] if isinstance(events, int) else events
    tenant = parts.pop("tenant", TENANT)
    epoch = parts.pop("epoch", None)
    return Append(tenant, stream, partition_of(tenant, stream), epoch, expected, new, **parts)


def statuses(appended: Appended) -> list[Status]:
    """The verdicts in short."""
    return [verdict.status for verdict in appended.verdicts]


async def put(store: EventStore, *batch: Append) -> Appended:
    """Append what must be written."""
    appended = await store.append(batch)
    assert statuses(appended) == [Status.WRITTEN] * len(batch), appended
    return appended
