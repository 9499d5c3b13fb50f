"""Our own pull loop on a durable consumer: long pulls with heartbeats, renewed before they run dry.

It asks again after a reconnect, a missed heartbeat, or whatever ends a pull (409, 408, 503), with back-off; nats-py's
`fetch` waits for ever when the server restarts under it. What is received and not finished is bounded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from events.errors import ThespisError
from infra.nats.backoff import Backoff
from infra.nats.connection import Connection, Listening
from infra.nats.protocol import decode_headers, status_of

log = logging.getLogger("thespis.nats")

Take = Callable[[bytes, bytes, bytes, bytes], None]
"""Called with (subject, reply to acknowledge on, header block, payload)."""

_NANO = 1_000_000_000


class Pull:
    """Pulls from one consumer. Every message taken must be reported with `finished`."""

    def __init__(
        self,
        connection: Connection,
        stream: str,
        consumer: str,
        ensure: Callable[[], Awaitable[None]],
        take: Take,
        *,
        limit: int = 4096,
        heartbeat: float = 2.0,
        expires: float = 30.0,
    ) -> None:
        """`ensure` provisions stream and consumer, and is called before every new start. `limit` bounds messages taken
        and not finished. `heartbeat` and `expires` are in seconds.
        """
        self._connection = connection
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._ensure = ensure
        self._take = take
        self._limit = limit
        self._heartbeat, self._expires = heartbeat, expires
        self._inbox = ""
        self._generation = 0
        self._number = 0
        self._requested = 0
        self._taken = 0
        self._heard = 0.0
        self._broken = ""
        self._changed = asyncio.Event()
        self._listening: Listening | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self.backoff = Backoff(0.02, 2.0)
        self.received = 0
        """Messages received so far."""

    @property
    def unfinished(self) -> int:
        """Messages taken and not finished."""
        return self._taken

    @property
    def trouble(self) -> str:
        """Why nothing is pulled at the moment, or empty."""
        return self._broken

    def finished(self) -> None:
        """One message is done, whatever came of it."""
        self._taken -= 1
        if self._requested * 2 < self._limit or self._taken == 0:
            self._changed.set()

    async def start(self) -> None:
        """Begin, in a task of its own."""
        self._inbox = self._connection.client.new_inbox()
        self._listening = await self._connection.listen(f"{self._inbox}.>", self._on_message)
        self._connection.on_reconnect.append(self._on_reconnect)
        self._task = self._loop.create_task(self._run())

    async def stop(self, patience: float = 0.5) -> None:
        """Stop pulling, and wait up to `patience` seconds for what was taken. The rest is delivered again later."""
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
        until = self._loop.time() + patience
        while self._taken and self._loop.time() < until:
            self._changed.clear()
            await self._wait(until - self._loop.time())

    # -- the loop

    async def _run(self) -> None:
        while True:
            try:
                await self._connection.up()
                await self._ensure()
                await self._pump()
            except ThespisError as error:
                self._broken = error.message
            except Exception as error:
                self._broken = repr(error)
                log.exception("the pull loop stumbled")
            log.info("pulling %s starts over: %s", self._subject, self._broken)
            await self.backoff.wait()

    async def _pump(self) -> None:
        self._generation += 1
        self._requested = 0
        self._broken = ""
        self._heard = self._loop.time()
        while not self._broken:
            self._changed.clear()
            room = self._limit - self._taken - self._requested
            if room > 0 and self._requested * 2 < self._limit and (room * 4 >= self._limit or not self._requested):
                self._request(room)
            silence = self._loop.time() - self._heard
            if self._requested and silence > 2.5 * self._heartbeat:
                self._broken = f"no heartbeat for {silence:.1f} s"
            elif not self._broken:
                await self._wait(self._heartbeat)

    def _request(self, count: int) -> None:
        if not self._requested:
            self._heard = self._loop.time()
        self._number += 1
        self._requested += count
        body = {
            "batch": count,
            "expires": int(self._expires * _NANO),
            "idle_heartbeat": int(self._heartbeat * _NANO),
        }
        reply = f"{self._inbox}.{self._generation}.{self._number}"
        self._connection.send(self._subject, msgspec.json.encode(body), None, reply)

    def _on_message(self, subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        self._heard = self._loop.time()
        if reply.startswith(b"$JS.ACK."):
            self._requested = max(0, self._requested - 1)
            self._taken += 1
            self.received += 1
            self.backoff.reset()
            if self._requested * 2 < self._limit:
                self._changed.set()
            try:
                self._take(subject, reply, head, data)
            except Exception:  # it stays unacknowledged and comes again
                log.exception("a message from %s could not be taken", subject.decode(errors="replace"))
                self.finished()
        elif head:
            self._on_status(subject, status_of(head), head)

    def _on_status(self, subject: bytes, status: int, head: bytes) -> None:
        if status == 100:  # a heartbeat: all is well, there is nothing to take
            self.backoff.reset()
            return
        headers = decode_headers(head)
        generation = subject[len(self._inbox) + 1 :].partition(b".")[0]
        if generation != b"%d" % self._generation:
            return
        pending = headers.get("Nats-Pending-Messages", "")
        if status in (404, 408) and pending.isdigit():
            self._requested = max(0, self._requested - int(pending))  # this pull ran out of time; ask for the next
        else:
            self._broken = f"{status} {headers.get('Description', 'no responders')}"
        self._changed.set()

    def _on_reconnect(self) -> None:
        self._broken = self._broken or "the connection was lost"
        self._changed.set()

    async def _wait(self, seconds: float) -> None:
        timer = self._loop.call_later(seconds, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()
