"""Which part of the log is old: `--before POSITION`, a time, or `--older-than` so many days."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from time import time_ns
from typing import Final

from events.errors import Invalid
from events.store import EventStore

DAY: Final = 86_400 * 1_000_000
"""Microseconds."""


def moment(text: str) -> int:
    """A time in microseconds: `30d`, `12h` (that long ago) or RFC 3339. Raises Invalid."""
    if ago := re.fullmatch(r"(\d{1,5})([dh])", text):
        return time_ns() // 1000 - int(ago[1]) * (DAY if ago[2] == "d" else DAY // 24)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text!r} is no time", hint="write 30d, 12h, 2026-11-23 or 2026-11-23T08:00:00Z") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000_000)


async def position_at(store: EventStore, time: int) -> int:
    """The last position such that it and those before it were recorded before a time (µs), as far as halving shows.

    Imported events have the times they came with, so a log with an import in its middle is only nearly sorted.
    """
    low, high = 0, await store.head()
    while low < high:
        middle = (low + high + 1) // 2
        (event,) = await store.read(middle - 1, 1)
        if event.recorded_at < time:
            low = middle
        else:
            high = middle - 1
    return low
