"""The doorbell: hosts tell each other how far the log is written, so that nobody has to poll quickly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from events.bus import BusMessage, Subscription
from events.errors import ThespisError
from infra.nats.wire import Wire

log = logging.getLogger("thespis.nats")

SUBJECT = "ctl.head"


class Doorbell:
    """Rings on `ctl.head` with the head as decimal digits, at most once per turn of the event loop, and listens."""

    def __init__(self, bus: Wire, heard: Callable[[int], None]) -> None:
        """`heard(head)` is called for every ring, our own included."""
        self._bus = bus
        self._heard = heard
        self._head = 0
        self._scheduled = False
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self._subscription = await self._bus.listen(SUBJECT, self._on_ring)

    async def stop(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            await self._subscription.stop()
            self._subscription = None

    def ring(self, head: int) -> None:
        """Tell everybody that the log is written up to `head`. Lossy: readers also look for themselves now and then."""
        if head > self._head:
            self._head = head
            if not self._scheduled:
                self._scheduled = True
                asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._scheduled = False
        try:
            self._bus.send(SUBJECT, b"%d" % self._head)
        except ThespisError as error:
            log.debug("the doorbell is silent: %s", error)

    def _on_ring(self, message: BusMessage) -> None:
        if message.data.isdigit() and len(message.data) < 20:
            self._heard(int(message.data))
