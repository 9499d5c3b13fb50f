"""The log as the library needs it, asyncio: saves written in groups, and reads in the order of an application."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

import asyncpg
import msgspec

from events.errors import Conflict, InvalidData, StoreUnavailable, ThespisError
from infra.eventsourcing import queries
from infra.eventsourcing.stored import Row
from infra.postgres.connection import Connection, Link, Links
from infra.postgres.errors import FAILURES, is_broken, translated, unknown
from infra.postgres.migrate import migrate

WRITE_TIMEOUT: Final = 30.0
READ_TIMEOUT: Final = 300.0
"""Seconds a transaction may take."""
MOST: Final = 256
"""Saves in one commit."""
LARGEST: Final = 8 * 1024 * 1024
"""Bytes of events in one commit, unless one save has more."""

WRITTEN, CONFLICT, TRACKED, FORBIDDEN, GAP = range(5)
"""What became of a save, see `migrations/0007_eventsourcing.sql`."""


class Save(msgspec.Struct, eq=False):
    """What is written whole or not at all. `streams` are (tenant, stream, first version or None), `events` rows,
    `tracked` (tenant, application, upstream, notification, transaction), `conditions` (tenant, application, after,
    topics, tags)."""

    streams: Sequence[tuple[str, str, int | None]] = ()
    events: Sequence[Row] = ()
    tracked: Sequence[tuple[str, str, str, int, str]] = ()
    conditions: Sequence[tuple[str, str, int, Sequence[str] | None, Sequence[str] | None]] = ()

    @property
    def size(self) -> int:
        """Bytes, about."""
        return sum(len(row[4]) for row in self.events)


class Outcome(msgspec.Struct, frozen=True):
    """`first` is the position of the first event when it was written, else 0."""

    status: int
    first: int


class Log:
    """The log of one database, for one event loop. Connections are made when needed, and again after they broke."""

    def __init__(self, dsn: str, readers: int = 4) -> None:
        self.dsn = dsn
        self._writer = Link(dsn, "eventsourcing writer", WRITE_TIMEOUT)
        self._readers = Links(dsn, "eventsourcing reader", readers, READ_TIMEOUT)
        self._queue: deque[tuple[Save, Future[Outcome]]] = deque()
        self._draining: asyncio.Task[None] | None = None
        self._closed = False
        self._watchers: set[Callable[[], None]] = set()
        self._watching: asyncio.Task[None] | None = None

    async def migrate(self) -> None:
        """Bring the database up to this code."""
        await migrate(self.dsn)

    # -- writing
    def submit(self, save: Save, future: Future[Outcome]) -> None:
        """Write it with the next commit. On the event loop."""
        if self._closed:
            future.set_exception(StoreUnavailable("the application is closed"))
            return
        self._queue.append((save, future))
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        try:
            while self._queue:
                batch = self._take()
                try:
                    outcomes = await self._write([save for save, _ in batch])
                except InvalidData as error:
                    if len(batch) == 1:
                        batch[0][1].set_exception(error)
                    else:  # one of them holds what cannot be stored: each by itself
                        await self._singly(batch)
                except Exception as error:  # whatever it is, they are not to wait for ever
                    for _, future in batch:
                        future.set_exception(error)
                else:
                    for (_, future), outcome in zip(batch, outcomes, strict=True):
                        future.set_result(outcome)
                    self._announce()
        finally:
            self._draining = None

    async def _singly(self, batch: Sequence[tuple[Save, Future[Outcome]]]) -> None:
        for save, future in batch:
            try:
                future.set_result((await self._write([save]))[0])
            except Exception as error:
                future.set_exception(error)

    def _take(self) -> list[tuple[Save, Future[Outcome]]]:
        """As many as may go together: none shares a stream or an upstream with another. Their order stays."""
        batch: list[tuple[Save, Future[Outcome]]] = []
        later: list[tuple[Save, Future[Outcome]]] = []
        seen: set[Any] = set()
        size = 0
        while self._queue and len(batch) < MOST:
            save, future = self._queue[0]
            size += save.size
            if batch and size > LARGEST:
                break
            self._queue.popleft()
            keys = {(tenant, stream) for tenant, stream, _ in save.streams} | {t[:3] for t in save.tracked}
            if seen.isdisjoint(keys):
                batch.append((save, future))
            else:
                later.append((save, future))
            seen |= keys
        self._queue.extendleft(reversed(later))
        return batch

    async def _write(self, saves: Sequence[Save]) -> list[Outcome]:
        connection = await self._writer.get()
        try:
            row = await connection.fetchrow(queries.APPEND, *_arguments(saves))
        except FAILURES as error:
            if is_broken(error):
                self._writer.drop()
                raise unknown(error, self._writer.place) from error
            raise translated(error, self._writer.place) from error
        position = (row[0] or 0) + 1
        outcomes: list[Outcome] = []
        for save, status in zip(saves, row[2], strict=True):
            outcomes.append(Outcome(status, position if not status and save.events else 0))
            position += 0 if status else len(save.events)
        return outcomes

    # -- reading
    async def fetch(self, query: str, *args: Any) -> list[Any]:
        """All rows of a query, on a connection for reading."""

        async def work(connection: Connection) -> list[Any]:
            return await connection.fetch(query, *args)

        return await self._readers.run(work)

    async def together(self, statements: Sequence[tuple[str, Sequence[Any]]], demanding: bool = False) -> bool:
        """Run several statements in one transaction, or none of them: with `demanding`, the first one must give a row,
        else nothing is done and this is False. Raises Conflict for a key that is there, OutcomeUnknown.
        """
        async with self._readers.take() as link:
            connection = await link.get()
            try:
                async with connection.transaction():
                    for n, (query, args) in enumerate(statements):
                        rows = await connection.fetch(query, *args)
                        if demanding and n == 0 and not rows:
                            return False
                return True
            except asyncpg.UniqueViolationError as error:
                raise Conflict(f"recorded already: {error.args[0]}") from error
            except FAILURES as error:
                if is_broken(error):
                    link.drop()
                    raise unknown(error, link.place) from error
                raise translated(error, link.place) from error

    async def retag(self, tenant: str, application: str) -> None:
        """Index the tags of events that came into the log another way, by an import."""
        rows = await self.fetch(queries.LAST_TAGGED, tenant, application)
        await self.together([(queries.RETAG, (tenant, application, rows[0][0] or 0))])

    # -- telling those who wait for events
    async def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` after each write here, and soon after one elsewhere."""
        self._watchers.add(wake)
        wake()  # for what was recorded since it last looked
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def unwatch(self, wake: Callable[[], None]) -> None:
        """No more."""
        self._watchers.discard(wake)

    def _announce(self) -> None:
        for wake in self._watchers:
            wake()

    async def _watch(self) -> None:
        """Other processes do not tell us: the head is looked at ten times a second, for as long as somebody waits."""
        head = -1
        try:
            while self._watchers:
                with suppress(ThespisError):
                    rows = await self.fetch(queries.HEAD)
                    now = rows[0][0] if rows else 0
                    if now != head:
                        head = now
                        self._announce()
                await asyncio.sleep(0.1)
        finally:
            self._watching = None

    async def close(self) -> None:
        """Finish what is under way and close every connection."""
        self._closed = True
        if self._draining is not None:
            await asyncio.gather(self._draining, return_exceptions=True)
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._writer.close()
        await self._readers.close()


def _arguments(saves: Sequence[Save]) -> tuple[Any, ...]:
    streams: list[Row] = []
    events: list[Row] = []
    tracked: list[Row] = []
    conditions: list[Row] = []
    for n, save in enumerate(saves, 1):
        before = len(streams)
        streams += [(n, *stream) for stream in save.streams]
        events += [(n, before + row[1], *row[2:]) for row in save.events]
        tracked += [(n, *row) for row in save.tracked]
        conditions += [(n, *row) for row in save.conditions]
    return len(saves), streams or None, events or None, tracked or None, conditions or None
