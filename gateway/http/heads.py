"""The head of the log, as far as this process knows: rung by doorbells, and read slowly in case none rings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType

from events.errors import ThespisError

log = logging.getLogger("thespis.http")


class Heads:
    """Wakes whoever waits for the log to grow.

    A head that is rung is a hint: what is read comes from the log by position, so a wrong or a lost ring costs time and
    nothing else. `read` is `EventStore.head`, asked every `poll` seconds while somebody waits.
    """

    def __init__(self, read: Callable[[], Awaitable[int]], poll: float = 1.0) -> None:
        self._read = read
        self._poll = poll
        self._waiters: set[asyncio.Future[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self.head = 0

    async def __aenter__(self) -> Heads:
        self._task = asyncio.create_task(self._watch(), name="heads")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.wake()

    def ring(self, head: int) -> None:
        """The log reaches `head` now."""
        if head > self.head:
            self.head = head
            self.wake()

    def doubt(self, rung: int, head: int) -> None:
        """The log was seen to end at `head` although `rung` had been rung before: it was no true ring."""
        if self.head == rung > head:
            self.head = head

    def wake(self) -> None:
        """Let everybody who waits look again."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def beyond(self, position: int, timeout: float) -> bool:
        """Wait until the head is beyond `position`, somebody calls `wake`, or `timeout` seconds have passed.

        Returns whether the head is beyond `position`.
        """
        if self.head > position:
            return True
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await waiter
        self._waiters.discard(waiter)
        return self.head > position

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll)
            if self._waiters:
                try:
                    self.ring(await self._read())
                except ThespisError:
                    continue  # whoever waits will read the log, and say so
                except Exception:
                    log.exception("the head of the log cannot be read")
