"""Cron expressions against a second opinion: every minute of UTC, looked at through the zone's own clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from zoneinfo import ZoneInfo

import pytest

from actors.cron import CronError, next_times, parse, zone_of

MINUTE = timedelta(minutes=1)

ZONES = [
    ("Europe/Berlin", "2026-03-29", "2026-10-25"),
    ("America/New_York", "2026-03-08", "2026-11-01"),
    ("America/St_Johns", "2026-03-08", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-10-04", "2026-04-05"),
    ("Asia/Kolkata", "2026-03-29", "2026-10-25"),
    ("Pacific/Apia", "2011-12-30", "2012-04-01"),
    ("Africa/Casablanca", "2026-03-22", "2026-02-15"),
    ("America/Santiago", "2026-09-06", "2026-04-05"),
    ("Asia/Tehran", "2022-03-22", "2022-09-22"),
    ("UTC", "2026-03-29", "2026-10-25"),
    ("Atlantic/Azores", "2026-03-29", "2026-10-25"),
]
"""Zones, with a day on which the clock goes forward and one on which it goes back, where there are such days."""

EXPRESSIONS = [
    "30 2 * * *", "15 0 * * *", "45 1 * * *", "5 3 * * *", "0 0 * * *", "0 * * * *", "*/20 1-3 * * *", "10 23 * * *",
    "30 2 * * sun", "30 1 29 3 *",
]  # fmt: skip


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def numbers(text: str, low: int, high: int) -> set[int]:
    """A second opinion on a field. Knows *, values, ranges, steps and Sunday."""
    found: set[int] = set()
    for part in text.replace("sun", "0").split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        every = range(low, high + 1) if span == "*" else range(int(first), int(last or first) + 1)
        found.update(every[:: int(step or 1)])
    return found


Walk = tuple[dict[datetime, list[datetime]], list[tuple[datetime, datetime]]]


def walked(zone: ZoneInfo, start: datetime, minutes: int) -> Walk:
    """Walk UTC minute by minute: when the clock shows what, and what it leaves out, with when that is caught up."""
    shown: dict[datetime, list[datetime]] = {}
    left_out: list[tuple[datetime, datetime]] = []
    before: datetime | None = None
    for n in range(-1500, minutes + 1500):
        moment = start + n * MINUTE
        local = moment.astimezone(zone).replace(tzinfo=None)
        shown.setdefault(local, []).append(moment)
        if before is not None and local - before > MINUTE:
            missing = before + MINUTE
            while missing < local:
                left_out.append((missing, moment + (missing - before - MINUTE)))
                missing += MINUTE
        before = local
    return shown, left_out


def by_the_minute(expression: str, walk: Walk) -> Walk:
    """Of a walk, what an expression is true at."""
    bounds = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
    fields = [numbers(text, low, high) for text, (low, high) in zip(expression.split(), bounds, strict=True)]
    minute, hour, day, month, weekday = fields

    def true(at: datetime) -> bool:
        return (
            at.minute in minute and at.hour in hour and at.day in day and at.month in month
            and at.isoweekday() % 7 in weekday
        )  # fmt: skip

    shown, left_out = walk
    return {at: moments for at, moments in shown.items() if true(at)}, [pair for pair in left_out if true(pair[0])]


def chosen(found: Walk, gap: str, overlap: str) -> set[datetime]:
    """What the policies make of it."""
    pick = {"first": slice(0, 1), "last": slice(-1, None), "both": slice(None)}[overlap]
    moments = {moment for repeated in found[0].values() for moment in repeated[pick]}
    return moments | {moment for _, moment in found[1]} if gap == "shift" else moments


@pytest.mark.parametrize(("name", "forward", "back"), ZONES, ids=[z[0] for z in ZONES])
def test_around_clock_changes_it_is_true_when_a_walk_through_every_minute_says_so(
    name: str, forward: str, back: str
) -> None:
    for day in (forward, back):
        start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=1)
        end = start + timedelta(days=3)
        walk = walked(ZoneInfo(name), start, 3 * 24 * 60)
        for expression in EXPRESSIONS:
            true = by_the_minute(expression, walk)
            for gap, overlap in product(("shift", "skip"), ("first", "last", "both")):
                expected = sorted(micros(m) for m in chosen(true, gap, overlap) if start < m <= end)
                found = next_times(expression, name, micros(start), len(expected) + 1, gap, overlap)
                assert found[: len(expected)] == expected, (expression, day, gap, overlap)
                assert found[len(expected)] > micros(end), (expression, day, gap, overlap)


GOLDEN = [
    ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00", "shift", "first", "2026-03-29T01:30Z"),
    ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00", "skip", "first", "2026-03-30T00:30Z"),
    ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00", "shift", "first", "2026-10-25T00:30Z"),
    ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00", "shift", "last", "2026-10-25T01:30Z"),
    ("America/New_York", "30 2 * * *", "2026-03-07T12:00", "shift", "first", "2026-03-08T07:30Z"),
    ("America/New_York", "30 1 * * *", "2026-10-31T12:00", "shift", "last", "2026-11-01T06:30Z"),
    ("America/St_Johns", "30 2 * * *", "2026-03-07T12:00", "shift", "first", "2026-03-08T06:00Z"),
    ("Australia/Lord_Howe", "10 2 * * *", "2026-10-03T00:00", "shift", "first", "2026-10-03T15:40Z"),
    ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00", "shift", "last", "2026-04-04T15:15Z"),
    ("Asia/Kolkata", "30 2 * * *", "2026-03-28T22:00", "shift", "first", "2026-03-29T21:00Z"),
    ("Pacific/Apia", "0 12 30 12 *", "2011-12-29T00:00", "shift", "first", "2011-12-30T22:00Z"),
    ("Pacific/Apia", "0 12 30 12 *", "2011-12-29T00:00", "skip", "first", "2012-12-29T22:00Z"),
    ("Africa/Casablanca", "30 2 * * *", "2026-03-21T12:00", "shift", "first", "2026-03-22T02:30Z"),
    ("America/Santiago", "30 0 * * *", "2026-09-05T12:00", "shift", "first", "2026-09-06T04:30Z"),
    ("Asia/Tehran", "30 0 * * *", "2022-03-21T12:00", "shift", "first", "2022-03-21T21:00Z"),
    ("UTC", "30 2 * * *", "2026-03-28T12:00", "shift", "first", "2026-03-29T02:30Z"),
]


@pytest.mark.parametrize(("zone", "expression", "after", "gap", "overlap", "expected"), GOLDEN)
def test_the_golden_table_of_zones(
    zone: str, expression: str, after: str, gap: str, overlap: str, expected: str
) -> None:
    start = micros(datetime.fromisoformat(after).replace(tzinfo=UTC))
    found = next_times(expression, zone, start, 1, gap, overlap)[0]
    assert datetime.fromtimestamp(found / 1e6, UTC).strftime("%Y-%m-%dT%H:%MZ") == expected


def test_unless_told_otherwise_hourly_comes_every_hour_and_nightly_once_a_night() -> None:
    start = micros(datetime(2026, 10, 24, 23, 30, tzinfo=UTC))
    hourly = next_times("0 * * * *", "Europe/Berlin", start, 5)
    assert {b - a for a, b in pairwise(hourly)} == {3_600_000_000}
    nightly = next_times("30 2 * * *", "Europe/Berlin", start, 2)
    assert nightly[1] - nightly[0] == 25 * 3_600_000_000


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 l * *", ["01-31", "02-28", "03-31"]),
        ("0 0 * * mon#2", ["01-12", "02-09", "03-09"]),
        ("0 0 * * 5L", ["01-30", "02-27", "03-27"]),
        ("0 0 13 * fri", ["01-02", "01-09", "01-13"]),
        ("0 0 * * fri-mon", ["01-02", "01-03", "01-04"]),
        ("0 0 * jan-mar/2 7", ["01-04", "01-11", "01-18"]),
        ("0 0 1-31/10 * *", ["01-11", "01-21", "01-31"]),
        ("0 0 20/5 * *", ["01-20", "01-25", "01-30"]),
        ("0 0 */10 * sun", ["01-11", "02-01", "03-01"]),
        ("@monthly", ["02-01", "03-01", "04-01"]),
    ],
)
def test_days_by_name_step_and_place_in_the_month(expression: str, expected: list[str]) -> None:
    start = micros(datetime(2026, 1, 1, 12, tzinfo=UTC))
    found = next_times(expression, "UTC", start, 3)
    assert [datetime.fromtimestamp(t / 1e6, UTC).strftime("%m-%d") for t in found] == expected


def test_a_sixth_field_is_the_second() -> None:
    assert next_times("*/15 * * * * *", "UTC", 0, 4) == [15_000_000, 30_000_000, 45_000_000, 60_000_000]


def test_the_29th_of_february_comes_even_when_it_takes_eight_years() -> None:
    start = micros(datetime(2096, 3, 1, tzinfo=UTC))
    assert next_times("0 0 29 2 *", "UTC", start, 1) == [micros(datetime(2104, 2, 29, tzinfo=UTC))]


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("* * * *", "4 fields"),
        ("60 * * * *", "'60' is no minute"),
        ("* * * * monday", "is no weekday"),
        ("0 0 15W * *", "not supported"),
        ("0 0 ? * mon", "not supported"),
        ("*/0 * * * *", "step of 0"),
        ("0 5-3 * * *", "goes backwards"),
        ("0 0 30 2 *", "never comes"),
        ("@reboot", "is not known"),
        ("H * * * *", "is no minute"),
        ("0 0 * * mon#6", "is no weekday"),
        ("* * * * * * *", "7 fields"),
        ("", "0 fields"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_field(expression: str, says: str) -> None:
    with pytest.raises(CronError, match=says):
        parse(expression)


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "../etc/passwd", "/etc/passwd", "\0"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(CronError, match="no zone"):
        zone_of(name)
