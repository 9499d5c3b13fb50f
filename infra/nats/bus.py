"""The port `events.bus.Bus` on NATS."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress

from events.bus import BusMessage, Handler, Subscription
from events.errors import BusUnavailable, ThespisError
from infra.nats.connection import Connection
from infra.nats.protocol import decode_headers
from infra.nats.wire import Called, Receive, Serial

log = logging.getLogger("thespis.nats")


class NatsBus:
    """Core NATS as a bus, and its fast path (`infra.nats.wire.Wire`)."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def publish(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Send and forget. Raises BusUnavailable when there is no connection and no room to buffer, TooLarge."""
        self.connection.send(subject, data, headers, reply)

    def send(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, reply: str = "") -> None:
        """`publish` without waiting."""
        self.connection.send(subject, data, headers, reply)

    async def request(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, timeout: float = 5.0
    ) -> BusMessage:
        """Send and wait for one answer. Raises NotFound when nobody listens, DeadlineExceeded, BusUnavailable."""
        head, payload = await self.connection.request(subject, data, headers, timeout)
        return BusMessage(subject, payload, decode_headers(head) if head else {})

    def call(self, subject: str, data: bytes, headers: Mapping[str, str] | None, timeout: float, done: Called) -> None:
        """`request` with a callback."""

        def answered(head: bytes, payload: bytes) -> None:
            done(BusMessage(subject, payload, decode_headers(head) if head else {}))

        failed: Called = done
        self.connection.call(subject, data, headers, timeout, answered, failed)

    async def subscribe(self, subject: str, handler: Handler, queue: str = "") -> Subscription:
        """Receive what matches, from when this returns; the handler runs for one message after the other."""
        subscription = await self.listen(subject, Serial(handler).receive, queue)
        if self.connected:
            with suppress(BusUnavailable):  # subscriptions are made again after a reconnect
                await self.settled()
        return subscription

    async def settled(self) -> None:
        """Wait until everything sent and subscribed so far has reached the server. Raises BusUnavailable."""
        await self.connection.settled()

    async def listen(self, subject: str, receive: Receive, queue: str = "") -> Subscription:
        """`subscribe` with a plain function."""

        def arrived(to: bytes, reply: bytes, head: bytes, data: bytes) -> None:
            receive(BusMessage(to.decode(), data, decode_headers(head) if head else {}, reply.decode()))

        return await self.connection.listen(subject, arrived, queue)

    @property
    def connected(self) -> bool:
        """Whether the server is there now."""
        return self.connection.connected

    async def close(self) -> None:
        """Close the connection."""
        try:
            await self.connection.close()
        except ThespisError as error:
            log.debug("closing: %s", error)
