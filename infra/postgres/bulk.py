"""Import: many events by COPY, in the transaction that holds the lock of the log; calls that wait share the next."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from events.errors import Invalid, InvalidData, ThespisError, Unavailable
from events.store import Append, Appended
from infra.postgres.connection import Connection
from infra.postgres.copy_format import COLUMNS, Rows, pieces
from infra.postgres.encoding import refusal

TOGETHER: Final = 8_000
"""Events of several calls that go into one transaction: others who append wait as long as it lasts."""
PATIENCE: Final = 0.005
"""Seconds that an answer may wait for the next transaction to be under way."""

_BEGIN: Final = "select before, recorded_at, statuses from thespis.begin_bulk($1, $2)"
_BLOBS: Final = "insert into thespis.blobs select * from unnest($1::bytea[], $2::bytea[]) on conflict do nothing"

_Encoded = dict[int, Rows]


class Write(Protocol):
    """How the store takes its writer: judge and write the appends in one transaction, by `copy`."""

    def __call__(
        self,
        batch: Sequence[Append],
        write: Callable[[Connection, Sequence[Append]], Awaitable[Any]],
        in_transaction: bool,
    ) -> Awaitable[Appended]:
        """Returns the verdicts. Raises what `EventStore.append` does."""
        ...


class Import:
    """The bulk appends of one store. While one transaction is under way, the calls that come gather into the next."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._waiting: deque[_Call] = deque()
        self._task: asyncio.Task[None] | None = None
        self._answers: deque[tuple[_Call, Appended]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def append(self, appends: Sequence[Append]) -> Appended:
        """See `EventStore.bulk`. A caller that is cancelled once its events are being written does not stop them."""
        call = _Call(appends)
        self._waiting.append(call)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="import")
        return await call.done

    async def finish(self) -> None:
        """Wait for what was begun."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while group := self._take():
                await self._together(group)
        finally:
            self._answer()
            self._task = None

    def _answer(self) -> None:
        """Tell callers what became of their appends, one in each turn of the loop: what they do then takes time, and
        the rows on their way must be able to leave in between."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._answers:
            call, appended = self._answers.popleft()
            call.succeed(appended)
            if self._answers:
                asyncio.get_running_loop().call_soon(self._answer)

    def _answer_soon(self) -> None:
        """Whoever gets an answer goes on at once, and may keep the loop busy: the next transaction is sent before."""
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._answer)
        elif not self._waiting:
            self._answer()

    def _take(self) -> list[_Call]:
        """The next calls: as long as they are of different streams, and not too many."""
        group: list[_Call] = []
        streams: set[tuple[str, str]] = set()
        count = 0
        while self._waiting:
            call = self._waiting[0]
            if group and (count + call.count > TOGETHER or not streams.isdisjoint(call.streams)):
                break
            self._waiting.popleft()
            if not call.done.done():
                group.append(call)
                streams |= call.streams
                count += call.count
        return group

    async def _together(self, group: list[_Call]) -> None:
        encoded: _Encoded = {}
        for call in group:
            encoded |= call.encoded
        try:
            appended = await self._write(
                [append for call in group for append in call.appends],
                lambda connection, appends: _copy(connection, appends, encoded, self._answer),
                True,
            )
        except Exception as error:
            if len(group) > 1 and isinstance(error, ThespisError) and not isinstance(error, Unavailable):
                for call in group:  # one of them holds what cannot be stored
                    await self._together([call])
                return
            for call in group:
                call.fail(error)
            return
        at, before = 0, appended.before
        for call in group:
            verdicts = appended.verdicts[at : at + len(call.appends)]
            at += len(call.appends)
            head = before + sum(
                len(append.events) for append, verdict in zip(call.appends, verdicts, strict=True) if not verdict.status
            )
            self._answers.append((call, Appended(verdicts, before, head, appended.recorded_at)))
            before = head
        self._answer_soon()


class _Call:
    """One call of `bulk`, its events encoded."""

    __slots__ = ("appends", "count", "done", "encoded", "streams")

    def __init__(self, appends: Sequence[Append]) -> None:
        for a in appends:
            if a.handled or a.mail or a.taken or a.effects or a.changes or a.timers or a.fired or a.cancelled:
                raise Invalid(f"a bulk append has only events, that of {a.stream} has more", hint="use append")
            if a.fork_of:
                raise Invalid(f"a bulk append has only events, that of {a.stream} begins a fork", hint="use append")
        try:
            self.encoded: _Encoded = {id(a): Rows(a) for a in appends}
        except (UnicodeEncodeError, struct.error) as error:
            raise (refusal(appends) or InvalidData(f"a bulk append cannot be stored: {error}")) from error
        self.appends = appends
        self.count = sum(len(a.events) for a in appends)
        self.streams = {(a.tenant, a.stream) for a in appends}
        self.done: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()

    def succeed(self, appended: Appended) -> None:
        if not self.done.done():
            self.done.set_result(appended)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


async def _copy(
    connection: Connection, appends: Sequence[Append], encoded: _Encoded, sent: Callable[[], None]
) -> tuple[int, int, Sequence[int] | None, None]:
    """Write appends of distinct streams. Returns a row like that of `thespis.append`."""
    fences: dict[tuple[int, int], int] = {}
    heads: list[tuple[Any, ...]] = []
    for a in appends:
        fence = None if a.epoch is None else fences.setdefault((a.partition, a.epoch), len(fences) + 1)
        heads.append((a.tenant, a.stream, a.expected, a.expected, fence, 0))
    row: Any = await connection.fetchrow(_BEGIN, heads, list(fences) or None)
    before, recorded_at, statuses = row
    if statuses is None or not any(statuses):
        statuses, written = None, appends
    else:
        written = [a for a, status in zip(appends, statuses, strict=True) if status == 0]
    rows = [encoded[id(a)] for a in written]
    await connection.copy_to_table(
        "events",
        schema_name="thespis",
        columns=COLUMNS,
        source=_each(pieces(rows, before, recorded_at), sent),
        format="binary",
    )
    blobs: dict[bytes, bytes] = {}
    for each in rows:
        blobs |= each.blobs
    if blobs:
        await connection.execute(_BLOBS, list(blobs), list(blobs.values()))
    return before, recorded_at, statuses, None


async def _each(pieces: Iterator[bytes], sent: Callable[[], None]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    sent()
