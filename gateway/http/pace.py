"""How many events to read at a time, so that a page of large ones does not fill the memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from events.envelope import Event

BYTES: Final = 4 << 20
"""Data read at a time, about: the first read of a run of large events may be above it."""

_FIRST: Final = 64


class Pace:
    """Begins with a few events, reads more at a time while they are small, and fewer when they are large."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.size = min(_FIRST, most)

    def saw(self, events: Sequence[Event]) -> None:
        """Learn from what was read."""
        if events:
            wanted = BYTES * len(events) // max(1, sum(len(event.data) for event in events))
            self.size = max(1, min(self._most, wanted, self.size * 4))
