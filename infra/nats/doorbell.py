"""The doorbell: hosts tell each other how far the log is written, so that nobody has to poll quickly.

A ring is the head of the log as decimal digits. Its header says what the host wrote since it rang last, and to which
partitions it sent tells, so that hosts with none of these need not look.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from typing import Final

from events.bus import BusMessage, Subscription
from events.errors import ThespisError
from events.store import Append
from infra.nats.wire import Wire

log = logging.getLogger("thespis.nats")

SUBJECT = "ctl.head"
WROTE = "Thespis-Wrote"
"""The header: for each run of positions the one before it, its last one, and the partitions as bits of a hexadecimal
number; several separated by commas."""
GATHER: Final = 0.02
"""Seconds between rings while nobody sends tells: whoever else follows the log can wait so long."""
TALK: Final = 1.0
"""Seconds after a tell in which every commit is rung for at once, since tells wait for the rings of what was written
before them."""

_SAID = re.compile(r"([0-9]{1,19}) ([0-9]{1,19}) ([0-9a-f]{1,16})").fullmatch

Heard = Callable[[int, int | None, int], None]
"""Called with the head, the position before what was written (None when the ring does not say) and the partitions with
new tells as bits (-1 likewise)."""


class Doorbell:
    """Rings on `ctl.head`, and listens. A ring leaves with whatever else this turn of the event loop sends."""

    def __init__(self, bus: Wire, heard: Heard) -> None:
        """`heard` is called for every run of positions of every ring, our own included."""
        self._bus = bus
        self._heard = heard
        self._head = 0
        self._wrote: list[tuple[int, int, int]] = []
        """What was not rung for yet: before, head, partitions with new tells."""
        self._rung = self._told = float("-inf")
        """When it rang last; when somebody sent a tell last, here or elsewhere."""
        self._timer: asyncio.TimerHandle | None = None
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self._subscription = await self._bus.listen(SUBJECT, self._on_ring)

    async def stop(self) -> None:
        """Ring for what was not rung for yet, and stop listening."""
        self._send()
        if self._subscription is not None:
            await self._subscription.stop()
            self._subscription = None

    def ring(self, head: int, before: int, mail: int) -> None:
        """Tell everybody that positions before + 1 … head are written, with tells to the partitions that are the bits
        of `mail`: at once or soon. Lossy: readers also look for themselves now and then."""
        if head <= self._head:
            return
        self._head = head
        if self._wrote and self._wrote[-1][1] == before:
            before, _, bits = self._wrote.pop()
            mail |= bits
        self._wrote.append((before, head, mail))
        loop = asyncio.get_running_loop()
        now = loop.time()
        if mail:
            self._told = now
        if now < self._told + TALK or now >= self._rung + GATHER:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_at(self._rung + GATHER, self._send)

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._wrote:
            return
        wrote, self._wrote = self._wrote, []
        self._rung = asyncio.get_running_loop().time()
        try:
            said = ",".join(f"{before} {head} {mail:x}" for before, head, mail in wrote)
            self._bus.send(SUBJECT, b"%d" % self._head, {WROTE: said})
        except ThespisError as error:
            log.debug("the doorbell is silent: %s", error)

    def _on_ring(self, message: BusMessage) -> None:
        if not message.data.isdigit() or len(message.data) >= 20:
            return
        head = int(message.data)
        for before, upto, mail in _runs(message.headers.get(WROTE, ""), head) or ((None, head, -1),):
            if mail:
                self._told = asyncio.get_running_loop().time()
            self._heard(upto, before, mail)


def mailed(batch: Sequence[Append]) -> int:
    """The partitions to which a batch sent tells, as bits."""
    bits = 0
    for append in batch:
        for mail in append.mail:
            bits |= 1 << mail.partition
    return bits


def _runs(said: str, head: int) -> list[tuple[int, int, int]]:
    """What a header says; nothing if any of it makes no sense."""
    found: list[tuple[int, int, int]] = []
    for run in said.split(","):
        parts = _SAID(run)
        if parts is None or not int(parts[1]) < int(parts[2]) <= head:
            return []
        found.append((int(parts[1]), int(parts[2]), int(parts[3], 16)))
    return found
