"""Cron expressions: when they are true on the clock of a zone, also when that clock is set forward or back.

`[second] minute hour day month weekday`. A field is `*`, values, ranges `a-b` (weekdays may wrap: fri-mon), steps
`*/n`, `a-b/n`, `a/n` (from a on), and lists of those with commas; months and weekdays have English names of three
letters, Sunday is 0 or 7. When both day and weekday are restricted, either will do, as in crontab(5) (a field that
begins with `*` does not restrict). `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly` are short for what they say.
`L` as the day is the last of the month; `n#k` as a weekday the k-th of the month, `nL` the last. `W`, `?`, `H`, years
and `@reboot` are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from heapq import merge
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from events.errors import InvalidData

SHORT: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS: Final = (
    ("second", 0, 59), ("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7),
)  # fmt: skip
YEARS: Final = 8
"""A day that does not come within so many years (29 February can take eight) never does."""

DAY: Final = 86_400
EPOCH: Final = date(1970, 1, 1)

_PART = re.compile(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/(\d+))?")


class CronError(InvalidData):
    """A cron expression or a zone that is none."""

    code = "cron"


class Cron(msgspec.Struct, frozen=True):
    """A parsed expression. `nth` are (weekday, k) with k = 0 for the last; `either`: day or weekday will do."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    last_day: bool
    nth: frozenset[tuple[int, int]]
    either: bool
    every_hour: bool
    """The hour is not fixed: a clock change neither shifts nor repeats anything that was meant for one hour."""

    def on(self, day: date) -> bool:
        """Whether it is true at some time of that day."""
        if day.month not in self.months:
            return False
        weekday = day.isoweekday() % 7
        tomorrow = day + timedelta(days=1)
        by_day = day.day in self.days or (self.last_day and tomorrow.month != day.month)
        last = (day + timedelta(days=7)).month != day.month
        by_weekday = (
            weekday in self.weekdays
            or (weekday, (day.day + 6) // 7) in self.nth
            or (last and (weekday, 0) in self.nth)
        )  # fmt: skip
        return by_day or by_weekday if self.either else by_day and by_weekday


@lru_cache(maxsize=1000)
def parse(text: str) -> Cron:
    """Read an expression. Raises CronError, which names the field."""
    words = SHORT.get(text.strip().lower(), text.strip().lower()).split()
    if len(words) == 1 and words[0].startswith("@"):
        raise CronError(f"{text!r} is not known", hint=f"known: {', '.join(SHORT)}")
    if len(words) == 5:
        words = ["0", *words]
    if len(words) != 6:
        raise CronError(
            f"{text!r} has {len(words)} fields",
            hint="write minute hour day month weekday, e.g. 0 7 * * mon-fri; a sixth field before them is the second",
        )
    last_day = False
    nth: set[tuple[int, int]] = set()
    values: list[frozenset[int]] = []
    for (name, low, high), word in zip(FIELDS, words, strict=True):
        found: set[int] = set()
        for part in word.split(","):
            if name == "day" and part == "l":
                last_day = True
            elif name == "weekday" and (special := _special(part)) is not None:
                nth.add(special)
            else:
                found |= _part(text, name, low, high, part)
        values.append(frozenset(found))
    seconds, minutes, hours, days, months, weekdays = values
    weekdays = frozenset(n % 7 for n in weekdays)
    cron = Cron(
        tuple(sorted(seconds)), tuple(sorted(minutes)), tuple(sorted(hours)), days, months, weekdays, last_day,
        frozenset(nth), not words[3].startswith("*") and not words[5].startswith("*"),
        words[2].startswith("*"),
    )  # fmt: skip
    start = date(2024, 1, 1)
    if not any(cron.on(start + timedelta(days=n)) for n in range(366 * YEARS)):
        raise CronError(f"{text!r} never comes", hint="there is no such day")
    return cron


def _special(part: str) -> tuple[int, int] | None:
    """`mon#2` or `5l`, as (weekday, k)."""
    found = re.fullmatch(r"([a-z]{3}|[0-7])(?:#([1-5])|l)", part)
    if found is None or (found[1] not in WEEKDAYS and not found[1].isdigit()):
        return None
    day = WEEKDAYS.index(found[1]) if found[1] in WEEKDAYS else int(found[1]) % 7
    return day, int(found[2] or 0)


def _part(text: str, name: str, low: int, high: int, part: str) -> set[int]:
    if any(sign in part for sign in "?w") and not any(day in part for day in WEEKDAYS):
        raise CronError(
            f"{text!r}: {part!r} in the {name} is not supported", hint="write *, values, ranges, steps, L or n#k"
        )
    found = _PART.fullmatch(part)
    if found is None:
        raise CronError(f"{text!r}: {part!r} is no {name}", hint=f"{low}-{high}, e.g. */5, 1,3 or 1-5/2")
    first, second, step = found.groups()
    every = int(step) if step is not None else 1
    if every < 1:
        raise CronError(f"{text!r}: a step of 0 in the {name}", hint="a step is at least 1")
    if first == "*":
        if second is not None:
            raise CronError(f"{text!r}: {part!r} is no {name}")
        return set(range(low, min(high, 6) + 1 if name == "weekday" else high + 1, every))
    start = _number(text, name, low, high, first)
    if second is None:
        top = 6 if name == "weekday" else high
        return set(range(start, top + 1, every)) if step is not None else {start}
    end = _number(text, name, low, high, second)
    if end < start:
        if name != "weekday":
            raise CronError(f"{text!r}: {part!r} in the {name} goes backwards", hint=f"write {second}-{first}")
        return {n % 7 for n in range(start, end + 8, every)}
    return set(range(start, end + 1, every))


def _number(text: str, name: str, low: int, high: int, word: str) -> int:
    names = MONTHS if name == "month" else WEEKDAYS if name == "weekday" else ()
    if word in names:
        return names.index(word) + (name == "month")
    if not word.isdigit() or not low <= int(word) <= high:
        raise CronError(f"{text!r}: {word!r} is no {name}", hint=f"it is between {low} and {high}")
    return int(word)


def zone_of(name: str) -> tzinfo:
    """The IANA zone of that name. Raises CronError."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise CronError(f"there is no zone {name!r}", hint="an IANA name, such as Europe/Berlin") from None


class Stretch(msgspec.Struct, frozen=True):
    """A time in which the clock of a zone runs `offset` seconds ahead of UTC: from `start` to `end` (seconds, UTC).

    `before` is the offset of the stretch before it, None for the first one looked at.
    """

    start: int
    end: int
    offset: int
    before: int | None


def times(cron: Cron, zone: tzinfo, after: int, gap: str = "shift", overlap: str = "") -> Iterator[int]:
    """Every time after `after` at which the expression is true, in order; in microseconds, as `after`.

    A local time that a clock change leaves out comes `shift`ed by as much as the clock was (02:30 becomes 03:30 when
    the clock goes from 2 to 3) or is `skip`ped. One that comes twice counts at the `first`, the `last` or `both`;
    when that is not said: both if the hour field begins with `*`, since then it speaks of time that passes, else first.
    """
    policy = overlap or ("both" if cron.every_hour else "first")
    first = after // 1_000_000
    given = after
    stretches = _stretches(zone, first - 3 * DAY, first + (366 * YEARS + 3) * DAY)
    following = next(stretches)
    while following is not None:
        stretch, following = following, next(stretches, None)
        if stretch.end <= first:
            continue
        low, high = max(stretch.start, first) + stretch.offset, stretch.end + stretch.offset
        sources: list[Iterator[int]] = []
        if stretch.before is not None and stretch.offset < stretch.before and policy == "first":
            low = max(low, stretch.start + stretch.before)
        if following is not None and following.offset < stretch.offset and policy == "last":
            high = following.start + following.offset
        sources.append(t - stretch.offset for t in _local(cron, low, high))
        if stretch.before is not None and stretch.offset > stretch.before and gap == "shift":
            left_out = _local(cron, stretch.start + stretch.before, stretch.start + stretch.offset)
            before = stretch.before
            sources.append(t - before for t in left_out)
        for second in merge(*sources):
            if second * 1_000_000 > given:
                given = second * 1_000_000
                yield given


def _stretches(zone: tzinfo, start: int, end: int) -> Iterator[Stretch]:
    """The times between clock changes. Changes less than a day apart are not told apart: there are none."""
    before: int | None = None
    began, offset = start, _offset(zone, start)
    at = start
    while at < end:
        if _offset(zone, at + DAY) != offset:
            low, high = at, at + DAY  # the change is after low and not after high
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
            yield Stretch(began, high, offset, before)
            before, began, offset = offset, high, _offset(zone, high)
        at += DAY
    yield Stretch(began, at, offset, before)


def _offset(zone: tzinfo, second: int) -> int:
    found = datetime.fromtimestamp(second, zone).utcoffset()
    assert found is not None
    return int(found.total_seconds())


def _local(cron: Cron, low: int, high: int) -> Iterator[int]:
    """Every time from `low` to before `high` at which the expression is true, in seconds of the local clock."""
    for number in range(low // DAY, -(-high // DAY)):
        if not cron.on(EPOCH + timedelta(days=number)):
            continue
        for hour in cron.hours:
            at_hour = number * DAY + hour * 3600
            if at_hour + 3600 <= low:
                continue
            for minute in cron.minutes:
                at_minute = at_hour + minute * 60
                if at_minute + 60 <= low:
                    continue
                for second in cron.seconds:
                    if at_minute + second >= high:
                        return
                    if at_minute + second >= low:
                        yield at_minute + second


def next_times(text: str, zone: str, after: int, count: int, gap: str = "shift", overlap: str = "") -> list[int]:
    """The next `count` times after `after` (µs). Raises CronError."""
    return list(islice(times(parse(text), zone_of(zone), after, gap, overlap), count))


__all__ = ["Cron", "CronError", "next_times", "parse", "times", "zone_of"]
