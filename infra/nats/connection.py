"""One connection to NATS: nats-py's client, with a fast reader and writer, requests by callback, and clear errors."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import ParseResult

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as ClientSubscription
from nats.aio.transport import TcpTransport
from nats.errors import Error as NatsError

from events.errors import BusUnavailable, DeadlineExceeded, InvalidName, NotFound, ThespisError, TooLarge
from infra.nats.options import options, redacted
from infra.nats.protocol import publication, status_of
from infra.nats.reader import Reader, Receive

log = logging.getLogger("thespis.nats")

PING_INTERVAL = 10
BUFFER = 8 * 1024 * 1024
"""Bytes kept for the server while it is away; beyond that, sending raises BusUnavailable."""
BACKLOG = 64 * 1024 * 1024
"""Bytes waiting for a server that is there but does not read."""

Answered = Callable[[bytes, bytes], None]
"""Called with (header block or b"", payload)."""


class JetStreamError(ThespisError):
    """JetStream refused."""

    code = "jetstream"

    def __init__(self, message: str, *, number: int = 0, status: int = 0) -> None:
        super().__init__(message)
        self.number = number
        """The server's own error code (`err_code`)."""
        self.status = status


class _Transport(TcpTransport):
    """nats-py's TCP transport, which forgets to close the socket of an attempt that failed."""

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        self.close()
        await super().connect(uri, buffer_size, connect_timeout)

    def __bool__(self) -> bool:
        return True  # else nats-py would make one of its own


async def _unused(message: Msg) -> None:
    """nats-py wants a callback; the reader never leaves it anything."""


class Listening:
    """A subscription whose messages go to a plain function."""

    def __init__(self, connection: Connection, subscription: ClientSubscription) -> None:
        self._connection = connection
        self._subscription = subscription

    async def stop(self) -> None:
        """Stop receiving."""
        self._connection.forget(self._subscription._id)
        with suppress(NatsError):  # closed, or stopped before
            await self._subscription.unsubscribe()


class Connection:
    """An open connection. It reconnects for ever; `on_reconnect` functions run after every reconnect."""

    def __init__(self, client: Client, reader: Reader, url: str) -> None:
        self.client = client
        self.url = url
        self.on_reconnect: list[Callable[[], None]] = []
        self.on_disconnect: list[Callable[[], None]] = []
        self.error = ""
        """The last thing the server or the network complained about."""
        self._reader = reader
        self._up = asyncio.Event()
        self._leaving = False
        """What is queued leaves at the end of this turn of the event loop."""
        self._calls: dict[str, tuple[Answered, Callable[[ThespisError], None], asyncio.TimerHandle]] = {}
        self._count = 0
        self._inbox = ""
        self._loop = asyncio.get_running_loop()

    @property
    def connected(self) -> bool:
        """Whether the server is there now."""
        return self.client.is_connected

    async def up(self) -> None:
        """Wait until connected."""
        await self._up.wait()

    # -- sending

    def write(self, command: bytes) -> None:
        """Queue protocol bytes; all of one turn of the event loop leave together. Raises BusUnavailable."""
        client: Any = self.client
        pending: int = client._pending_data_size + len(command)
        if pending > BUFFER and (not client.is_connected or pending > BACKLOG):
            raise self.unavailable()
        if client.is_closed:
            raise self.unavailable()
        client._pending.append(command)
        client._pending_data_size = pending
        if not self._leaving and client.is_connected:
            self._leaving = True
            self._loop.call_soon(self._leave)

    def _leave(self) -> None:
        """Hand over to the socket what is queued; a full one is left to nats-py's flusher, which waits for it."""
        self._leaving = False
        client: Any = self.client
        if not (client._pending and client.is_connected):
            return  # sent by then, or to be sent after the reconnect
        writer: asyncio.StreamWriter | None = getattr(client._transport, "_io_writer", None)
        if writer is None or writer.transport.is_closing() or writer.transport.get_write_buffer_size():
            queue: asyncio.Queue[asyncio.Future[None]] = client._flush_queue
            if queue.empty():
                queue.put_nowait(self._loop.create_future())
            return
        pending, client._pending, client._pending_data_size = client._pending, [], 0
        writer.writelines(pending)

    def send(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, reply: str = "") -> None:
        """Publish without waiting. Raises BusUnavailable, TooLarge."""
        command = publication(subject, data, headers, reply)
        if len(command) > self.client.max_payload:
            raise TooLarge(f"{len(command)} bytes for {subject}, NATS takes {self.client.max_payload}")
        self.write(command)

    # -- receiving

    async def listen(self, subject: str, receive: Receive, queue: str = "") -> Listening:
        """Subscribe with a plain function, called with (subject, reply, header block, payload) as bytes."""

        client: Any = self.client
        sid = str(client._sid + 1).encode()  # as `subscribe` will count, before it waits for anything
        self._reader.direct[sid] = receive
        try:
            subscription: ClientSubscription = await client.subscribe(subject, queue, cb=_unused)
        except NatsError as error:
            self._reader.direct.pop(sid)
            raise self.unavailable() if client.is_closed else InvalidName(f"{subject!r}: {error}") from None
        return Listening(self, subscription)

    def forget(self, sid: int) -> None:
        """Drop the fast path of a subscription."""
        self._reader.direct.pop(str(sid).encode(), None)

    async def settled(self, timeout: float = 5.0) -> None:
        """Wait until everything sent and subscribed so far has reached the server. Raises BusUnavailable."""
        client: Any = self.client
        pong: asyncio.Future[Any] = self._loop.create_future()
        self.write(b"PING\r\n")  # nats-py's own flush overtakes what is queued
        client._pongs.append(pong)
        try:
            async with asyncio.timeout(timeout):
                await pong
        except TimeoutError:
            raise self.unavailable() from None

    # -- requests

    def call(
        self,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None,
        timeout: float,
        answered: Answered,
        failed: Callable[[ThespisError], None],
    ) -> None:
        """Send a request; exactly one of the two functions is called, never before this returns."""
        self._count += 1
        token = str(self._count)
        timer = self._loop.call_later(timeout, self._late, token, subject, timeout)
        self._calls[token] = (answered, failed, timer)
        try:
            self.send(subject, data, headers, f"{self._inbox}.{token}")
        except ThespisError as error:
            self._calls.pop(token)
            timer.cancel()
            self._loop.call_soon(failed, error)

    def _answer(self, subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        found = self._calls.pop(subject[len(self._inbox) + 1 :].decode(), None)
        if found is None:
            return
        answered, failed, timer = found
        timer.cancel()
        if head and not data and status_of(head) == 503:
            failed(NotFound("nobody listens there"))
        else:
            answered(head, data)

    def _late(self, token: str, subject: str, timeout: float) -> None:
        _, failed, _ = self._calls.pop(token)
        if self.connected:
            failed(DeadlineExceeded(f"no answer on {subject} within {timeout:.3g} s"))
        else:
            failed(self.unavailable())

    async def request(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, timeout: float = 5.0
    ) -> tuple[bytes, bytes]:
        """Send and wait for (header block, payload). Raises NotFound, DeadlineExceeded, BusUnavailable."""
        future: asyncio.Future[tuple[bytes, bytes]] = self._loop.create_future()

        def answered(head: bytes, payload: bytes) -> None:
            if not future.done():
                future.set_result((head, payload))

        def failed(error: ThespisError) -> None:
            if not future.done():
                future.set_exception(error)

        self.call(subject, data, headers, timeout, answered, failed)
        return await future

    async def jetstream(self, action: str, body: Mapping[str, Any] | None = None, timeout: float = 5.0) -> Any:
        """A JetStream API request such as `STREAM.INFO.EV`; returns the decoded answer.

        Raises JetStreamError when it is refused, BusUnavailable when JetStream is not there (yet).
        """
        payload = msgspec.json.encode(body) if body else b""
        try:
            _, data = await self.request(f"$JS.API.{action}", payload, timeout=timeout)
        except (NotFound, DeadlineExceeded):
            raise BusUnavailable(f"JetStream at {redacted(self.url)} does not answer", hint="is it enabled?") from None
        answer: dict[str, Any] = msgspec.json.decode(data)
        error: dict[str, Any] | None = answer.get("error")
        if error is None:
            return answer
        status = int(error.get("code", 0))
        text = f"{action}: {error.get('description', 'refused')}"
        if status == 503:
            raise BusUnavailable(text)
        raise JetStreamError(text, number=int(error.get("err_code", 0)), status=status)

    # -- lifetime

    def unavailable(self) -> BusUnavailable:
        """The error to raise while the server is away."""
        reason = f": {self.error}" if self.error else ""
        return BusUnavailable(
            f"NATS at {redacted(self.url)} does not answer{reason}",
            hint="is nats-server running, and does NATS_URL name it?",
        )

    async def begin(self) -> None:
        """Listen for answers; called once by `connect`."""
        self._inbox = self.client.new_inbox()
        await self.listen(f"{self._inbox}.*", self._answer)
        self._up.set()

    def reconnected(self) -> None:
        """Tell everybody that the server is back."""
        log.info("NATS at %s is back", redacted(self.url))
        self._up.set()
        for function in list(self.on_reconnect):
            function()

    def disconnected(self) -> None:
        """Tell everybody that the server went away."""
        self._up.clear()
        if not self.client.is_closed:
            log.warning("NATS at %s went away", redacted(self.url))
        for function in list(self.on_disconnect):
            function()

    async def close(self) -> None:
        """Send what is queued and close. Requests still open fail with BusUnavailable."""
        if self.client.is_closed:
            return
        client: Any = self.client
        if not client.is_connected:  # nobody to send it to
            client._pending.clear()
            client._pending_data_size = 0
        try:
            await client.close()
        except OSError as error:
            log.debug("closing: %s", error)
            client._transport.close()
        for _, failed, timer in list(self._calls.values()):
            timer.cancel()
            failed(BusUnavailable("the connection was closed"))
        self._calls.clear()


async def connect(
    url: str, *, name: str = "thespis", timeout: float = 5.0, environment: Mapping[str, str] | None = None
) -> Connection:
    """Connect to the servers in `url` (see `options`) within `timeout` seconds.

    Raises Invalid for a URL that is none, BusUnavailable when no server answers, refuses the credentials, or does not
    offer the TLS that was asked for.
    """
    arguments = options(url, os.environ if environment is None else environment)
    client = Client()
    reader = Reader(client)
    client._ps = reader  # pyright: ignore[reportAttributeAccessIssue]
    if not any(str(server).startswith("ws") for server in arguments["servers"]):
        client._transport = _Transport()
    connection = Connection(client, reader, url)
    refused = asyncio.get_running_loop().create_future()

    async def complain(error: Exception) -> None:
        if refused.done() and not refused.cancelled():
            return  # after its refusal the server hangs up, which says less
        connection.error = str(error) or error.__class__.__name__
        log.debug("nats: %s", connection.error)
        if "authorization" in connection.error.lower() and not refused.done():
            refused.set_result(None)

    async def disconnected() -> None:
        connection.disconnected()

    async def reconnected() -> None:
        connection.reconnected()

    attempt = asyncio.ensure_future(
        client.connect(
            **arguments,
            name=name,
            error_cb=complain,
            disconnected_cb=disconnected,
            reconnected_cb=reconnected,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,  # pyright: ignore[reportArgumentType]
            ping_interval=PING_INTERVAL,
            connect_timeout=2,
            pending_size=BUFFER,
            flush_timeout=5.0,
        )
    )
    try:
        await asyncio.wait([attempt, refused], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not attempt.done():
            raise connection.unavailable()
        try:
            attempt.result()
        except Exception as error:
            connection.error = str(error) or error.__class__.__name__
            raise connection.unavailable() from None
        if "tls" in arguments and not client._server_info.get("tls_required"):
            await client.close()
            connection.error = "it does not offer TLS"
            raise connection.unavailable()
    finally:
        if not attempt.done():
            attempt.cancel()
            await asyncio.wait([attempt])
            await client.close()
        refused.cancel()
    await connection.begin()
    return connection
