"""When a recurrence comes: the next times, those that passed, and by how much each is moved."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from typing import Final

from actors import cron
from actors.workflows.plan import Recurrence

MOST: Final = 100
"""Times that are caught up on, at most: the newest."""

COUNTED: Final = 10_000
"""Times that passed are counted one by one up to here; when there are more, this is the count."""


def upcoming(recurrence: Recurrence, address: str, after: int, count: int) -> list[tuple[int, int]]:
    """The next times, each with when it fires: later by its jitter. Raises CronError."""
    return [(due, fires(recurrence, address, due)) for due in islice(times(recurrence, after), count)]


def fires(recurrence: Recurrence, address: str, due: int) -> int:
    """When a time fires: up to `jitter` seconds later, by an amount that is the same whoever computes it."""
    if not recurrence.jitter:
        return due
    chance = int.from_bytes(blake2b(f"{address}@{due}".encode(), digest_size=4).digest()) / 0xFFFFFFFF
    return due + int(chance * recurrence.jitter * 1_000_000)


def times(recurrence: Recurrence, after: int) -> Iterator[int]:
    """Every time after `after`, in order."""
    parsed, zone = cron.parse(recurrence.cron), cron.zone_of(recurrence.zone)
    return cron.times(parsed, zone, after, recurrence.gap, recurrence.overlap)


def passed(recurrence: Recurrence, address: str, after: int, now: int) -> tuple[int, int, int, list[int]]:
    """(first, last, count, the newest of them) of the times after `after` that have fired by now."""
    first = last = count = 0
    newest: list[int] = []
    for due in times(recurrence, after):
        if fires(recurrence, address, due) > now:
            return first, last, count, newest
        first, last, count = first or due, due, count + 1
        newest = [*newest[-(MOST - 1) :], due]
        if count == COUNTED:
            break
    else:
        return first, last, count, newest
    for span in (3_600, 86_400, 32 * 86_400, 400 * 86_400):
        late = [due for due in islice(times(recurrence, max(last, now - span * 1_000_000)), COUNTED) if due <= now]
        late = [due for due in late if fires(recurrence, address, due) <= now]
        if late:
            return first, late[-1], count, late[-MOST:]
    return first, last, count, newest


def before(recurrence: Recurrence, first: int, wanted: int) -> int:
    """The last time before `wanted`, as far as it need be known."""
    for span in (3_600, 86_400, 32 * 86_400):
        found = [due for due in islice(times(recurrence, wanted - span * 1_000_000), COUNTED) if due < wanted]
        if found:
            return max(found[-1], first)
    return first
