"""The port to the bus, as far as actors, gateway and tools need it: core messages, requests and the live plane.

JetStream streams (facts, spool, tasks) are provisioned and driven inside the adapter, see `infra/nats`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec


class BusMessage(msgspec.Struct, frozen=True, gc=False):
    """A message as it arrives. `headers` keys are as sent; `reply` is the subject to answer on, or empty."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    reply: str = ""


Handler = Callable[[BusMessage], Awaitable[None]]


class Subscription(Protocol):
    """A running subscription."""

    async def stop(self) -> None:
        """Stop receiving; messages already received are still handled."""
        ...


class Bus(Protocol):
    """Core publish, request and subscribe. Lossy by design: whatever must not be lost is in the log."""

    async def publish(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Send and forget. Raises BusUnavailable only when there is no connection and no room to buffer."""
        ...

    async def request(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, timeout: float = 5.0
    ) -> BusMessage:
        """Wait at most `timeout` seconds for one answer. Raises NotFound when nobody listens, DeadlineExceeded."""
        ...

    async def subscribe(self, subject: str, handler: Handler, queue: str = "") -> Subscription:
        """Receive what matches `subject`; with `queue`, one member of the group gets each message."""
        ...
