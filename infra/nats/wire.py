"""What asks, ingress and client need of a bus: the port plus sends and calls that cost no task and no future.

`infra.nats.bus.NatsBus` and `infra.memory.bus.MemoryBus` both offer it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from events.bus import Bus, BusMessage, Handler, Subscription
from events.errors import ThespisError

log = logging.getLogger("thespis.bus")

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

    async def settled(self) -> None:
        """Wait until everything sent and subscribed so far has reached the broker. Raises BusUnavailable."""
        ...

    def call(self, subject: str, data: bytes, headers: Mapping[str, str] | None, timeout: float, done: Called) -> None:
        """`request` with a callback. Never raises; `timeout` in seconds."""
        ...


class Serial:
    """Runs an async handler for one message after the other, in a task that lives only while there are any."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._waiting: deque[BusMessage] = deque()
        self._task: asyncio.Task[None] | None = None

    def receive(self, message: BusMessage) -> None:
        """Have it handled after those before it."""
        self._waiting.append(message)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._waiting:
            message = self._waiting.popleft()
            try:
                await self._handler(message)
            except Exception:
                log.exception("the handler of %s failed", message.subject)
        self._task = None
