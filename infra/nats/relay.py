"""The relay: committed events, in position order, onto the stream EV. Its sequence numbers are the log's positions.

Every publication carries `Nats-Expected-Last-Sequence`, so that several relays cannot disturb each other. Every one is
acknowledged (a foreign message takes the place of one of ours, and lets through those after it), but only the last
acknowledgement of a chunk is decoded; of the others it is enough that they are no errors. The relay keeps no cursor. At
start, and whenever something is refused or not acknowledged in time, it compares the stream's end with the log: behind
→ refill; ahead of the log, or holding something else → begin the stream again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from events.envelope import Event
from events.errors import ThespisError
from events.store import EventStore
from infra.nats import facts
from infra.nats.backoff import Backoff
from infra.nats.connection import Connection, Listening
from infra.nats.protocol import decode_headers, status_of
from infra.nats.provision import (
    EV,
    Retention,
    StreamState,
    ensure_stream,
    facts_config,
    find_stream,
    recreate_stream,
    restore_consumer,
)

log = logging.getLogger("thespis.relay")

GATHER = 0.01
"""Seconds between reads of a log that grows by less than a page meanwhile: other hosts write in small commits."""

_MIDDLE = ord("m")


class _Ack(msgspec.Struct):
    seq: int = 0
    error: dict[str, object] | None = None


_ack = msgspec.json.Decoder(_Ack).decode


class Relay:
    """Publishes what the log holds. Several may run: the chain lets through what is next in order, once."""

    def __init__(
        self,
        connection: Connection,
        store: EventStore,
        *,
        retention: Retention | None = None,
        chunk: int = 256,
        window: int = 2048,
        page: int = 512,
        chunk_bytes: int = 1024 * 1024,
        window_bytes: int = 6 * 1024 * 1024,
        refill: int = 1_000_000,
        patience: float = 5.0,
        poll: float = 1.0,
    ) -> None:
        """`chunk` messages share an acknowledgement, at most `window` wait for one; `page` events are read at a time.

        A stream that has to begin again starts `refill` events back. `patience` is how long an acknowledgement may
        take, `poll` how often the log is looked at when nobody rings (seconds).
        """
        self._connection = connection
        self._store = store
        self._config = facts_config(retention or Retention())
        self._chunk, self._window, self._page, self._refill = chunk, window, page, refill
        self._chunk_bytes, self._window_bytes = chunk_bytes, window_bytes
        self._patience, self._poll = patience, poll
        self._head = 0
        self._sent = 0
        self._acked = 0
        self._broken = ""
        self._created, self._end = "", 0
        self._lost_readers: list[tuple[int, dict[str, Any]]] = []
        self._futile = 0
        self._generation = 0
        self._fed: deque[Event] = deque()
        self._rest_until = 0.0
        self._changed = asyncio.Event()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._flying: deque[tuple[int, int]] = deque()
        self._bytes = 0
        self._inbox = ""
        self._listening: Listening | None = None
        self._task: asyncio.Task[None] | None = None

    # -- what others see and do

    @property
    def acknowledged(self) -> int:
        """The last position known to be on the stream."""
        return self._acked

    @property
    def lag(self) -> int:
        """How many committed events, as far as known, are not on the stream yet."""
        return max(0, self._head - self._acked)

    @property
    def trouble(self) -> str:
        """Why nothing is relayed at the moment, or empty."""
        return self._broken

    def wake(self, head: int) -> None:
        """The log was written up to `head`."""
        if head > self._head:
            self._head = head
            self._changed.set()

    def committed(self, events: Sequence[Event]) -> None:
        """Hand over just committed events, so that they need not be read. They may overlap, repeat or leave holes."""
        if not events:
            return
        fed = self._fed
        if fed and (events[0].position != fed[-1].position + 1 or len(fed) > 4 * self._window):
            fed.clear()
        fed.extend(events)
        self.wake(events[-1].position)

    async def reached(self, position: int) -> None:
        """Wait until `position` is on the stream."""
        if self._acked < position:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((position, future))
            await future

    async def start(self) -> None:
        """Begin, in a task of its own."""
        self._inbox = self._connection.client.new_inbox()
        self._listening = await self._connection.listen(f"{self._inbox}.>", self._on_ack)
        self._connection.on_reconnect.append(self._on_reconnect)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop publishing; what is on its way may still arrive."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        with suppress(ValueError):
            self._connection.on_reconnect.remove(self._on_reconnect)
        if self._listening is not None:
            await self._listening.stop()
            self._listening = None

    # -- the loop

    async def _run(self) -> None:
        backoff = Backoff(0.02, 2.0)
        while True:
            try:
                await self._connection.up()
                await self._synchronise()
                await self._pump(backoff)
            except ThespisError as error:
                self._broken = error.message
            except Exception as error:
                self._broken = repr(error)
                log.exception("the relay stumbled")
            log.info("relay at %d of %d starts over: %s", self._acked, self._head, self._broken)
            await backoff.wait()

    async def _synchronise(self) -> None:
        """Find out where the stream stands, and make it stand where the log says."""
        self._generation += 1
        self._flying.clear()
        self._bytes = 0
        found = await find_stream(self._connection, EV)
        head = await self._store.head()
        self._head = max(self._head, head)
        first = max(1, head - self._refill + 1)
        if found is None:
            log.info("stream %s is not there: filling it from position %d", EV, first)
        state = await ensure_stream(self._connection, self._config, first)
        if reason := await self._mismatch(state, head):
            log.warning("stream %s %s: it begins again at position %d", EV, reason, first)
            state, lost = await recreate_stream(self._connection, self._config, first)
            self._lost_readers += lost
        self._sent = self._acked = state.last
        self._created, self._end = state.created, state.last
        self._broken = ""
        self._announce()

    async def _mismatch(self, state: StreamState, head: int) -> str:
        """Why the stream cannot be continued, or empty."""
        self._futile = self._futile + 1 if (state.created, state.last) == (self._created, self._end) else 0
        if self._futile >= 3:
            return "takes nothing any more"
        if state.last > head:
            head = await self._store.head()  # another relay may have been quicker than our look at the log
            if state.last > head:
                return f"is ahead of the log ({state.last} > {head})"
        if state.messages == 0:
            return f"is empty and {head - state.last} behind" if head - state.last > self._refill else ""
        # Of a stream that has fewer messages than were acknowledged, none is known: it is an older copy of itself.
        known = self._acked if state.created == self._created and state.last >= self._acked else 0
        lowest = max(state.first, known + 1, state.last - self._window - self._page)
        for start in range(lowest, state.last + 1, 256):
            if at := await self._foreign(start, min(256, state.last + 1 - start)):
                return f"holds something else than the log at {at}"
        return ""

    async def _foreign(self, start: int, count: int) -> int:
        """The first of these positions where the stream holds something else than the log; 0 when there is none."""
        events = await self._store.read(start - 1, count)
        # As results: raised, an error that comes with a cancellation would take its place, and the relay would go on.
        asked = (self._headers(sequence) for sequence in range(start, start + count))
        found = await asyncio.gather(*asked, return_exceptions=True)
        for event, headers in zip(events, found, strict=True):
            if isinstance(headers, BaseException):
                raise headers
            if headers is not None and any(headers.get(k) != v for k, v in facts.headers(event).items()):
                return event.position
        return 0

    async def _headers(self, sequence: int) -> dict[str, str] | None:
        """The headers of one message of the stream, None when it is gone or cannot be read."""
        body = b'{"seq":%d}' % sequence
        head, _ = await self._connection.request(f"$JS.API.DIRECT.GET.{EV}", body, timeout=self._patience)
        return None if status_of(head) else decode_headers(head)

    async def _pump(self, backoff: Backoff) -> None:
        """Publish until something is wrong."""
        while not self._broken:
            self._changed.clear()
            if self._lost_readers and (self._acked >= self._lost_readers[0][0] or self._acked >= self._head):
                await restore_consumer(self._connection, EV, *self._lost_readers[0])
                self._lost_readers.pop(0)
                continue
            waiting = self._sent - self._acked
            if waiting < self._window and self._bytes < self._window_bytes and (events := await self._next()):
                self._publish(events)
                await asyncio.sleep(0)
            elif waiting:
                if not await self._wait(self._patience) and self._sent - self._acked >= waiting:
                    self._broken = f"no acknowledgement within {self._patience:g} s"
            else:
                backoff.reset()
                self._futile = 0
                if not await self._wait(self._poll):
                    self._head = await self._store.head()
                    await self._look()

    async def _look(self) -> None:
        """With nothing to publish, nobody would refuse it: see whether the stream is still where it was left."""
        found = await find_stream(self._connection, EV)
        if found is None or (found["created"], found["state"]["last_seq"]) != (self._created, self._acked):
            self._broken = "the stream is not where it was left"
        elif found["state"]["messages"] and await self._foreign(self._acked, 1):
            self._broken = "the stream does not end with the last event"

    async def _next(self) -> Sequence[Event]:
        """The events after the last one sent, from what was handed over if possible."""
        if self._sent >= self._head:
            return ()
        loop = asyncio.get_running_loop()
        events = self._handed_over()
        if not events and (rest := self._rest_until - loop.time()) > 0:
            await asyncio.sleep(rest)
            events = self._handed_over()
        if events:
            return events
        read = await self._store.read(self._sent, self._page)
        if not read:
            self._head = await self._store.head()
        elif len(read) < self._page:
            self._rest_until = loop.time() + GATHER
        return read

    def _handed_over(self) -> list[Event]:
        """Of what was handed over, the events after the last one sent."""
        fed, after = self._fed, self._sent
        while fed and fed[0].position <= after:
            fed.popleft()
        if not fed or fed[0].position != after + 1:
            return []
        return [fed.popleft() for _ in range(min(len(fed), self._page))]

    def _publish(self, events: Sequence[Event]) -> None:
        limit = self._connection.client.max_payload
        publication = facts.publication
        middle, end = f"{self._inbox}.{self._generation}.m", f"{self._inbox}.{self._generation}.e"
        out: list[bytes] = []
        size = 0
        for event in events:
            position = self._sent + 1
            if event.position != position:
                self._broken = f"the log has a hole after {self._sent}"
                break
            last = len(out) + 1 >= self._chunk or size > self._chunk_bytes or event is events[-1]
            command = publication(event, end if last else middle, limit)
            out.append(command)
            size += len(command)
            self._sent = position
            if last:
                self._connection.write(b"".join(out))
                self._flying.append((position, size))
                self._bytes += size
                out.clear()
                size = 0

    def _on_ack(self, subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        if not head and subject[-1] == _MIDDLE and b'"error"' not in data:
            return
        if self._broken or int(subject[len(self._inbox) + 1 : -2]) != self._generation:
            return
        if head and status_of(head):
            self._broken = "the stream is not there" if status_of(head) == 503 else f"status {status_of(head)}"
        else:
            ack = _ack(data)
            if ack.error is not None:
                self._broken = str(ack.error.get("description"))
            elif ack.seq > self._acked:
                self._acked = ack.seq
                while self._flying and self._flying[0][0] <= ack.seq:
                    self._bytes -= self._flying.popleft()[1]
                self._announce()
        self._changed.set()

    def _on_reconnect(self) -> None:
        self._broken = self._broken or "the connection was lost"
        self._changed.set()

    async def _wait(self, seconds: float) -> bool:
        """Wait for an acknowledgement, news from the log, or trouble. False when nothing came in time."""
        timer = asyncio.get_running_loop().call_later(seconds, self._changed.set)
        try:
            await self._changed.wait()
            return timer.when() > asyncio.get_running_loop().time()
        finally:
            timer.cancel()

    def _announce(self) -> None:
        for waiter in [waiter for waiter in self._waiters if waiter[0] <= self._acked]:
            self._waiters.remove(waiter)
            if not waiter[1].done():
                waiter[1].set_result(None)
