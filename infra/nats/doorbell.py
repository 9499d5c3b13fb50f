"""The doorbell: hosts tell each other how far the log is written, so that nobody has to poll quickly.

A ring is the head of the log as decimal digits. Its header says after which position it was written and to which
partitions it sent tells, so that hosts with none of these need not look.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence

from events.bus import BusMessage, Subscription
from events.errors import ThespisError
from events.store import Append
from infra.nats.wire import Wire

log = logging.getLogger("thespis.nats")

SUBJECT = "ctl.head"
WROTE = "Thespis-Wrote"
"""The header: the position before, and the partitions as bits of a hexadecimal number."""

_SAID = re.compile(r"([0-9]{1,19}) ([0-9a-f]{1,16})").fullmatch

Heard = Callable[[int, int | None, int], None]
"""Called with the head, the position before the commit (None when the ring does not say) and the partitions with new
tells as bits (-1 likewise)."""


class Doorbell:
    """Rings on `ctl.head`, and listens. A ring leaves with whatever else this turn of the event loop sends."""

    def __init__(self, bus: Wire, heard: Heard) -> None:
        """`heard` is called for every ring, our own included."""
        self._bus = bus
        self._heard = heard
        self._head = 0
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self._subscription = await self._bus.listen(SUBJECT, self._on_ring)

    async def stop(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            await self._subscription.stop()
            self._subscription = None

    def ring(self, head: int, before: int, mail: int) -> None:
        """Tell everybody that positions before + 1 … head are written, with tells to the partitions that are the bits
        of `mail`. Lossy: readers also look for themselves now and then."""
        if head <= self._head:
            return
        self._head = head
        try:
            self._bus.send(SUBJECT, b"%d" % head, {WROTE: f"{before} {mail:x}"})
        except ThespisError as error:
            log.debug("the doorbell is silent: %s", error)

    def _on_ring(self, message: BusMessage) -> None:
        if message.data.isdigit() and len(message.data) < 20:
            head = int(message.data)
            self._heard(head, *_wrote(message.headers, head))


def mailed(batch: Sequence[Append]) -> int:
    """The partitions to which a batch sent tells, as bits."""
    bits = 0
    for append in batch:
        for mail in append.mail:
            bits |= 1 << mail.partition
    return bits


def _wrote(headers: Mapping[str, str], head: int) -> tuple[int | None, int]:
    said = _SAID(headers.get(WROTE, ""))
    if said is None or int(said[1]) >= head:
        return None, -1
    return int(said[1]), int(said[2], 16)
