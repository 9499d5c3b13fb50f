"""Schedules as a story: when a workflow is to run, when it did, and what did not become of a time and why.

Times are microseconds since 1970 (UTC).
"""

from __future__ import annotations

from typing import Any

import msgspec


class ScheduleSet(msgspec.Struct, frozen=True, omit_defaults=True):
    """The workflow's schedule is this from now on; version `version` of the workflow says so."""

    workflow: str
    recurrence: Any
    version: int
    at: int


class ScheduleRemoved(msgspec.Struct, frozen=True):
    """The workflow runs by itself no more."""

    at: int


class SchedulePaused(msgspec.Struct, frozen=True, omit_defaults=True):
    """Times pass without a run."""

    at: int
    by: str = ""
    reason: str = ""


class ScheduleResumed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Runs are started again."""

    at: int
    by: str = ""


class ScheduleFired(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run was asked for.

    `due` is the time of the schedule, `why` is due, caught up, waited (for the run before) or by hand; `replaced` are
    runs that were cancelled for it.
    """

    run: str
    due: int
    at: int
    why: str
    replaced: list[str] = []


class ScheduleSkipped(msgspec.Struct, frozen=True, omit_defaults=True):
    """Times passed without a run: `count` of them, from `first` to `last`. `why` is missed, paused, busy or full."""

    first: int
    last: int
    count: int
    at: int
    why: str


class ScheduleHeld(msgspec.Struct, frozen=True):
    """A time came while the run before was under way: a run follows when that has ended."""

    due: int
    at: int


class ScheduleAdvanced(msgspec.Struct, frozen=True, omit_defaults=True):
    """All times up to `upto` are dealt with; the next one is `next`, and with its jitter it fires at `fires`."""

    upto: int
    next: int | None = None
    fires: int | None = None


class ScheduledRunEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run that the schedule had asked for ended, or could not begin (`reason`)."""

    run: str
    status: str
    at: int
    reason: str = ""


SCHEDULE_EVENTS = (
    ScheduleSet, ScheduleRemoved, SchedulePaused, ScheduleResumed, ScheduleFired, ScheduleSkipped, ScheduleHeld,
    ScheduleAdvanced, ScheduledRunEnded,
)  # fmt: skip
