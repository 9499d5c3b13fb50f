"""`PostgresStore`: the port `events.store.EventStore` on one writer connection and a few readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from events.envelope import Answer, Event
from events.store import (
    Append,
    Appended,
    Effect,
    Epoch,
    Figures,
    HandledMessage,
    HostRow,
    Lease,
    Loaded,
    Mail,
    MailKey,
    Pruned,
    Snapshot,
    StateHash,
    Timer,
    Verdict,
)
from infra.postgres import activation, archiving, figures, leases, ledger, pruning, reading, shortcuts
from infra.postgres.bulk import Import
from infra.postgres.collisions import independent
from infra.postgres.connection import GRACE, Connection, Link, Links
from infra.postgres.encoding import APPEND, encode, refusal
from infra.postgres.errors import FAILURES, is_broken, translated, unknown
from infra.postgres.migrate import migrate
from infra.postgres.readahead import ReadAhead
from infra.postgres.verdicts import verdicts_of

WRITE_TIMEOUT: Final = 5.0
BULK_TIMEOUT: Final = 60.0
READ_TIMEOUT: Final = 300.0
"""Seconds a transaction may take. Whoever writes holds the lock of the log: everybody waits for the slowest."""
IDLE_TIMEOUT: Final = 1.5
"""Seconds a transaction that writes may do nothing; a host that was stopped in one must not stop the others."""
AHEAD: Final = 4_000_000
"""Bytes of an import that may be on their way: the server goes on reading while the next rows are made here."""

_Write = Callable[[Connection, Sequence[Append]], Awaitable[Any]]


@asynccontextmanager
async def open_store(dsn: str, *, readers: int = 4, migrated: bool = False) -> AsyncGenerator[PostgresStore]:
    """The store of a database, brought up to this code first unless it is said to be `migrated`.

    Raises StoreUnavailable when Postgres does not answer, Conflict when the database is newer than this code.
    """
    if not migrated:
        await migrate(dsn)
    async with PostgresStore(dsn, readers=readers) as store:
        yield store


class PostgresStore:
    """The log of one database. Connections are made when needed, and again after they broke.

    Use it as an async context manager, or call `close`. Safe for many tasks of one event loop.
    """

    def __init__(self, dsn: str, *, readers: int = 4, write_timeout: float = WRITE_TIMEOUT) -> None:
        """`write_timeout` (seconds) is how long an append may take, the wait for the log's lock included."""
        self._writer = Link(dsn, "writer", write_timeout, idle=IDLE_TIMEOUT)
        self._importer = Link(dsn, "importer", BULK_TIMEOUT, idle=IDLE_TIMEOUT, ahead=AHEAD)
        self._patience = {self._writer: write_timeout + GRACE, self._importer: BULK_TIMEOUT + GRACE}
        self._writing = asyncio.Lock()
        self._readers = Links(dsn, "reader", readers, READ_TIMEOUT)
        self._pages = ReadAhead(self._readers)
        self._import = Import(self._write)

    async def __aenter__(self) -> PostgresStore:
        async with self._writing:
            await self._writer.get()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; an append under way is finished first."""
        await self._import.finish()
        async with self._writing:
            await asyncio.gather(self._writer.close(), self._importer.close())
        self._pages.close()
        await self._readers.close()

    # -- writing
    async def append(self, batch: Sequence[Append]) -> Appended:
        """Write a batch: one call of the server's function, one round trip."""
        return await self._write(batch, _append)

    async def bulk(self, appends: Sequence[Append]) -> Appended:
        """Write many events by COPY; what is asked for meanwhile goes into one transaction together."""
        return await self._import.append(appends) if appends else await self._write((), _append)

    async def _write(self, batch: Sequence[Append], write: _Write, in_transaction: bool = False) -> Appended:
        """Take the writer and call; a caller that is cancelled then does not disturb what is under way."""
        if not batch:
            head = await self.head()
            return Appended([], head, head, 0)
        await self._writing.acquire()
        call = asyncio.create_task(self._call(batch, write, in_transaction))
        call.add_done_callback(self._called)
        return await asyncio.shield(call)

    def _called(self, call: asyncio.Task[Appended]) -> None:
        self._writing.release()
        if not call.cancelled():
            call.exception()  # looked at here too, for a caller that is gone

    async def _call(self, batch: Sequence[Append], write: _Write, in_transaction: bool) -> Appended:
        link = self._importer if in_transaction else self._writer
        connection = await link.get()
        # Dropped, not cancelled: a commit that waits for its standby would, when cancelled, show what may yet be lost.
        alarm = asyncio.get_running_loop().call_later(self._patience[link], link.drop)
        try:
            parts = independent(batch)
            if len(parts) == 1 and not in_transaction:
                appended = Appended(*verdicts_of(parts[0], await write(connection, parts[0])))
            else:
                appended = await _in_parts(connection, parts, write)
        except FAILURES as error:
            if is_broken(error):
                link.drop()
                raise unknown(error, link.place) from error
            raise (refusal(batch) or translated(error, link.place)) from error
        finally:
            alarm.cancel()
        for append, verdict in zip(batch, appended.verdicts, strict=True):
            if append.mail and not verdict.status:
                for mail in append.mail:
                    mail.position = verdict.position
        return appended

    # -- reading the log
    async def head(self) -> int:
        """The last position."""
        return await self._readers.run(reading.head)

    async def read(self, after: int, limit: int, types: Sequence[str] | None = None) -> list[Event]:
        """The next events of the log."""
        if types is None:
            return await self._pages.page(after, limit)
        return await self._readers.run(lambda c: reading.page(c, after, limit, types))

    async def read_stream(
        self, tenant: str, stream: str, after: int = 0, upto: int | None = None, limit: int | None = None
    ) -> list[Event]:
        """Events of one stream."""
        return await self._readers.run(lambda c: reading.stream(c, tenant, stream, after, upto, limit))

    async def load(self, keys: Sequence[tuple[str, str, str]]) -> list[Loaded]:
        """What activations need, in one query."""
        return await self._readers.run(lambda c: activation.load(c, keys))

    async def streams(self, tenant: str | None = None) -> AsyncIterator[tuple[str, str, int]]:
        """Every stream, a page at a time."""
        after = ("", "") if tenant is None else (tenant, "")
        while True:
            page = await self._readers.run(
                partial(reading.streams_page, after=after, one_tenant=tenant is not None, limit=1000)
            )
            for row in page:
                yield (row[0], row[1], row[2])
            if len(page) < 1000:
                return
            after = (page[-1][0], page[-1][1])

    async def messages(self, tenant: str, stream: str, after: int = 0, limit: int = 1000) -> list[HandledMessage]:
        """The message log of one stream."""
        return await self._readers.run(lambda c: reading.messages(c, tenant, stream, after, limit))

    async def answers(self, ids: Sequence[str]) -> dict[str, tuple[bytes, Answer]]:
        """Digests and first answers of the messages that were handled."""
        known = [id for id in ids if _is_uuid(id)]
        return await self._readers.run(lambda c: ledger.answers(c, known))

    # -- mailboxes, effects, timers
    async def mail(self, partitions: Sequence[int], after: int, limit: int) -> tuple[list[Mail], int]:
        """Waiting tells of the partitions, and the head."""
        return await self._readers.run(lambda c: ledger.mail(c, partitions, after, limit))

    async def mail_of(self, tenant: str, stream: str, after: MailKey | None, limit: int) -> list[Mail]:
        """Waiting tells of one actor."""
        return await self._readers.run(lambda c: ledger.mail_of(c, tenant, stream, after, limit))

    async def effects(self, partitions: Sequence[int], after: str, limit: int) -> list[Effect]:
        """Effects not yet delivered."""
        return await self._readers.run(lambda c: ledger.effects(c, partitions, after, limit))

    async def effect(self, id: str) -> Effect | None:
        """One row of the effect ledger."""
        return await self._readers.run(lambda c: ledger.effect(c, id))

    async def timers(
        self, partitions: Sequence[int], until: int, limit: int, after: tuple[int, str, str, str] | None = None
    ) -> list[Timer]:
        """Timers that are due."""
        return await self._readers.run(lambda c: ledger.timers(c, partitions, until, limit, after))

    async def timers_of(self, tenant: str, stream: str) -> list[Timer]:
        """Timers of one actor."""
        return await self._readers.run(lambda c: ledger.timers_of(c, tenant, stream))

    # -- shortcuts and proof
    async def save_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        """Keep the newest snapshot of each stream."""
        await self._readers.run(lambda c: shortcuts.save_snapshots(c, snapshots))

    async def save_state_hashes(self, hashes: Sequence[StateHash]) -> None:
        """Remember what states were."""
        await self._readers.run(lambda c: shortcuts.save_state_hashes(c, hashes))

    async def state_hashes(self, tenant: str, stream: str) -> list[StateHash]:
        """Remembered states of one stream."""
        return await self._readers.run(lambda c: shortcuts.state_hashes(c, tenant, stream))

    # -- housekeeping
    async def prune(self, before: int, *, hashes: int = 100) -> Pruned:
        """Forget what is no longer needed."""
        return await pruning.prune(self._readers.run, before, hashes)

    async def archive(self, upto: int, *, fewest: int = 32, moved: Callable[[int], None] | None = None) -> int:
        """Move old events into compressed blocks."""
        return await archiving.archive(self._readers.run, upto, fewest, moved)

    async def figures(self) -> Figures:
        """How much there is; rows are estimates."""
        return await self._readers.run(figures.figures)

    # -- ownership
    async def join(self, host: str, ttl: float, info: bytes) -> None:
        """Announce a host."""
        await self._readers.run(lambda c: leases.join(c, host, ttl, info))

    async def heartbeat(self, host: str) -> tuple[list[HostRow], list[Lease]]:
        """Renew the host's lease and see everybody."""
        return await self._readers.run(lambda c: leases.heartbeat(c, host))

    async def claim(self, host: str, partitions: Sequence[int]) -> dict[int, int]:
        """Take partitions that nobody alive owns."""
        return await self._readers.run(lambda c: leases.claim(c, host, partitions))

    async def epochs(self, partition: int | None = None) -> list[Epoch]:
        """Every claim there ever was."""
        return await self._readers.run(lambda c: leases.epochs(c, partition))

    async def release(self, host: str, partitions: Sequence[int]) -> None:
        """Give partitions back."""
        await self._readers.run(lambda c: leases.release(c, host, partitions))

    async def leave(self, host: str) -> None:
        """Release everything and forget the host."""
        await self._readers.run(lambda c: leases.leave(c, host))

    async def strike(self, tenant: str, stream: str, message: str, reason: str) -> int:
        """Count a death of a host with this message in hand."""
        return await self._readers.run(lambda c: leases.strike(c, tenant, stream, message, reason))

    async def strikes(self, least: int) -> dict[tuple[str, str, str], int]:
        """Deaths counted against messages that at least so many hosts died of."""
        return await self._readers.run(lambda c: leases.strikes(c, least))


async def _append(connection: Connection, batch: Sequence[Append]) -> Any:
    return await connection.fetchrow(APPEND, *encode(batch))


async def _in_parts(connection: Connection, parts: Sequence[Sequence[Append]], write: _Write) -> Appended:
    """Several calls, one transaction: the lock is held from the first, so the positions are contiguous."""
    verdicts: list[Verdict] = []
    counts: list[int] = []
    first = head = recorded_at = 0
    async with connection.transaction():
        for n, appends in enumerate(parts):
            some, before, head, recorded_at = verdicts_of(appends, await write(connection, appends))
            verdicts += some
            first = before if n == 0 else first
            counts += [len(append.events) for append in appends]
    for n, verdict in enumerate(verdicts):
        if verdict.status or not counts[n]:
            verdicts[n] = replace(verdict, position=head)
    return Appended(verdicts, first, head, recorded_at)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
