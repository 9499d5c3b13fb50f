"""What asks, ingress and client need of a bus: the port plus sends and calls that cost no task and no future.

`infra.nats.bus.NatsBus` and `infra.memory.bus.MemoryBus` both offer it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from events.bus import Bus, BusMessage, Subscription
from events.errors import ThespisError

Receive = Callable[[BusMessage], None]
"""Called on the event loop for each message; must not block and must not raise."""

Called = Callable[[BusMessage | ThespisError], None]
"""Called exactly once with the answer, or NotFound (nobody listens), DeadlineExceeded or BusUnavailable."""


class Wire(Bus, Protocol):
    """A bus with a fast path."""

    def send(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, reply: str = "") -> None:
        """`publish` without waiting. Raises BusUnavailable when there is no room to buffer, TooLarge."""
        ...

    async def listen(self, subject: str, receive: Receive, queue: str = "") -> Subscription:
        """`subscribe` with a plain function."""
        ...

    def call(self, subject: str, data: bytes, headers: Mapping[str, str] | None, timeout: float, done: Called) -> None:
        """`request` with a callback. Never raises; `timeout` in seconds."""
        ...
