"""A schedule (`schedule/<workflow>`): starts runs of its workflow at the times of a cron expression.

It lives on one durable timer: the next time, moved by its jitter. When it wakes late it finds out what it missed and
catches up as told. Every time becomes a `ScheduleFired`, `ScheduleHeld` or `ScheduleSkipped` with the reason. Its runs
tell it of their end, as they would a parent.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from actors import cron
from actors.core.kind import Kind
from actors.core.outputs import Cancel, Reply, Schedule, Tell
from actors.occurrences import before, fires, passed, upcoming
from actors.workflows.messages import RunEnded, SetSchedule, StartWorkflow, StopRun
from actors.workflows.plan import Recurrence
from events.envelope import Message
from events.errors import Refused
from events.schedules import (
    SCHEDULE_EVENTS,
    ScheduleAdvanced,
    ScheduledRunEnded,
    ScheduleFired,
    ScheduleHeld,
    SchedulePaused,
    ScheduleRemoved,
    ScheduleResumed,
    ScheduleSet,
    ScheduleSkipped,
)
from events.workflows import Parent

WAITING: Final = 100
"""Times that may wait for the run before to end."""

PUNCTUAL: Final = 60_000_000
"""Microseconds by which a time may be late and still not be missed."""


class PauseSchedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Start nothing until resumed."""

    by: str = ""
    reason: str = ""


class ResumeSchedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Go on, from now: what passed in between is skipped."""

    by: str = ""


class FireSchedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Start a run now, by hand, as the schedule would, whether or not another is under way."""

    by: str = ""


class ScheduleDue(msgspec.Struct, frozen=True):
    """Its own timer."""

    due: int


class NextTimes(msgspec.Struct, frozen=True, omit_defaults=True):
    """When it fires next, after a time (µs) if given, else after what was dealt with."""

    count: int = 20
    after: int | None = None


class Agenda(msgspec.Struct, omit_defaults=True):
    """`upto`: all times until then are dealt with. `active` are its runs under way, `held` the times that wait."""

    workflow: str = ""
    recurrence: Recurrence | None = None
    version: int = 0
    paused: bool = False
    upto: int = 0
    next: int | None = None
    active: dict[str, int] = {}
    held: list[int] = []


def decide(state: Agenda, message: Message) -> list[Any]:
    """What a schedule makes of a message."""
    return _DECISIONS[message.data.__class__](state, message.data, message)


# -- decisions


def _set(state: Agenda, m: SetSchedule, message: Message) -> list[Any]:
    if m.version < state.version:
        return []
    if m.recurrence is None:
        if state.recurrence is None:
            return []
        return [ScheduleRemoved(message.time), Cancel("next")]
    try:
        cron.parse(m.recurrence.cron)
        cron.zone_of(m.recurrence.zone)
    except cron.CronError as error:
        raise Refused(error.message, code="schedule") from None
    changed = ScheduleSet(message.to.partition("/")[2], msgspec.to_builtins(m.recurrence), m.version, message.time)
    if m.recurrence == state.recurrence or state.paused:
        return [changed]
    return [changed, *_await_next(m.recurrence, message.to, message.time)]


def _await_next(recurrence: Recurrence, address: str, upto: int) -> list[Any]:
    """All times up to `upto` are dealt with; sleep until the next."""
    following = upcoming(recurrence, address, upto, 1)
    if not following:
        return [ScheduleAdvanced(upto), Cancel("next")]
    due, at = following[0]
    return [ScheduleAdvanced(upto, due, at), Schedule("next", ScheduleDue(due), at=at)]


def _pause(state: Agenda, m: PauseSchedule, message: Message) -> list[Any]:
    _must_be_set(state, message)
    if state.paused:
        return [Reply({"paused": True})]
    return [SchedulePaused(message.time, m.by or message.sender, m.reason), Cancel("next"), Reply({"paused": True})]


def _resume(state: Agenda, m: ResumeSchedule, message: Message) -> list[Any]:
    recurrence = _must_be_set(state, message)
    if not state.paused:
        return [Reply({"paused": False})]
    first, last, count, _ = passed(recurrence, message.to, state.upto, message.time)
    outs: list[Any] = [ScheduleResumed(message.time, m.by or message.sender)]
    if count:
        outs.append(ScheduleSkipped(first, last, count, message.time, "paused"))
    return [*outs, *_await_next(recurrence, message.to, message.time), Reply({"paused": False})]


def _fire(state: Agenda, m: FireSchedule, message: Message) -> list[Any]:
    recurrence = _must_be_set(state, message)
    run = f"{message.to.partition('/')[2]}-{message.id}"
    outs = _begin(recurrence, message, run, message.time, "by hand", [], m.by or message.sender)
    return [*outs, Reply({"run": run})]


def _due(state: Agenda, m: ScheduleDue, message: Message) -> list[Any]:
    recurrence = state.recurrence
    if recurrence is None or state.paused or state.next != m.due:
        return []
    now = message.time
    first, last, count, newest = passed(recurrence, message.to, state.upto, now)
    if not count:  # it woke too early
        at = fires(recurrence, message.to, m.due)
        return [Schedule("next", ScheduleDue(m.due), at=at)]
    wanted = newest[-1:]
    if recurrence.catch_up == "all":
        wanted = newest
    elif recurrence.catch_up == "none" and now - fires(recurrence, message.to, last) > PUNCTUAL:
        wanted = []
    outs: list[Any] = []
    if len(wanted) < count:
        # What is skipped is always the oldest.
        until = last if not wanted else before(recurrence, first, wanted[0])
        outs.append(ScheduleSkipped(first, until, count - len(wanted), now, "missed"))
    held = list(state.held)
    under_way = list(state.active)
    for number, due in enumerate(wanted):
        caught_up = number < len(wanted) - 1 or now - fires(recurrence, message.to, due) > PUNCTUAL
        outs += _one(recurrence, message, due, caught_up, len(wanted) > 1, under_way, held)
    return [*outs, *_await_next(recurrence, message.to, last)]


def _one(
    recurrence: Recurrence, message: Message, due: int, caught_up: bool, several: bool, under_way: list[str],
    held: list[int],
) -> list[Any]:  # fmt: skip
    """What becomes of one time; `under_way` and `held` are kept along."""
    policy = recurrence.concurrent
    if policy == "skip" and several:
        policy = "queue"  # who catches up on all wants them all: one after the other
    if under_way or held:
        if policy == "skip":
            return [ScheduleSkipped(due, due, 1, message.time, "busy")]
        if policy == "queue":
            if len(held) >= WAITING:
                return [ScheduleSkipped(due, due, 1, message.time, "full")]
            held.append(due)
            return [ScheduleHeld(due, message.time)]
    run = run_of(message.to, due)
    replaced = list(under_way) if policy == "cancel_other" else []
    under_way.append(run)
    return _begin(recurrence, message, run, due, "caught up" if caught_up else "due", replaced)


def run_of(address: str, due: int) -> str:
    """The id of the run of a time: the workflow and the time, so that no time ever has two."""
    when = datetime.fromtimestamp(due / 1_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{address.partition('/')[2]}-{when}"


def _begin(
    recurrence: Recurrence, message: Message, run: str, due: int, why: str, replaced: list[str], by: str = ""
) -> list[Any]:
    workflow = f"workflow/{message.to.partition('/')[2]}"
    outs: list[Any] = [ScheduleFired(run, due, message.time, why, replaced)]
    outs += [Tell(workflow, StopRun(other, f"replaced by {run}", message.to)) for other in replaced]
    parent = Parent(message.to, run, 0, "abandon")
    labels = {"schedule": datetime.fromtimestamp(due / 1_000_000, UTC).isoformat()}
    start = StartWorkflow(run, recurrence.inputs, None, parent, labels, by=by or message.to)
    return [*outs, Tell(workflow, start)]


def _ended(state: Agenda, m: RunEnded, message: Message) -> list[Any]:
    if m.ref not in state.active:
        return []
    reason = m.error.message if m.error is not None else ""
    outs: list[Any] = [ScheduledRunEnded(m.ref, m.status, message.time, reason)]
    if state.held and len(state.active) == 1 and state.recurrence is not None:
        due = state.held[0]
        outs += _begin(state.recurrence, message, run_of(message.to, due), due, "waited", [])
    return outs


def _must_be_set(state: Agenda, message: Message) -> Recurrence:
    if state.recurrence is None:
        raise Refused(f"{message.to} has no schedule", code="not-found")
    return state.recurrence


_DECISIONS: Final[dict[type[Any], Callable[[Agenda, Any, Message], list[Any]]]] = {
    SetSchedule: _set,
    PauseSchedule: _pause,
    ResumeSchedule: _resume,
    FireSchedule: _fire,
    ScheduleDue: _due,
    RunEnded: _ended,
}


def evolve(state: Agenda, event: Any) -> Agenda:
    """What an event makes of a schedule."""
    match event:
        case ScheduleSet():
            state.recurrence = msgspec.convert(event.recurrence, Recurrence)
            state.workflow, state.version = event.workflow, event.version
        case ScheduleRemoved():
            state.recurrence, state.next, state.paused, state.held = None, None, False, []
        case SchedulePaused():
            state.paused, state.next = True, None
        case ScheduleResumed():
            state.paused = False
        case ScheduleAdvanced():
            state.upto, state.next = event.upto, event.next
        case ScheduleHeld():
            state.held = [*state.held, event.due]
        case ScheduleFired():
            state.active[event.run] = event.due
            state.held = [due for due in state.held if due != event.due]
        case ScheduledRunEnded():
            state.active.pop(event.run, None)
        case _:
            pass
    return state


def query(state: Agenda, question: NextTimes) -> Any:
    """The next times in order: `due` and, with its jitter, `fires` (µs). Raises Refused without a schedule."""
    recurrence = state.recurrence
    if recurrence is None:
        raise Refused("there is no schedule", code="not-found")
    after = state.upto if question.after is None else question.after
    following = upcoming(recurrence, f"schedule/{state.workflow}", after, min(max(question.count, 0), 1000))
    return {
        "recurrence": recurrence, "version": state.version, "paused": state.paused, "active": list(state.active),
        "held": state.held, "next": [{"due": due, "fires": at} for due, at in following],
    }  # fmt: skip


schedule = Kind(
    "schedule", state=Agenda, decide=decide, evolve=evolve, query=query, questions=[NextTimes],
    messages=[SetSchedule, PauseSchedule, ResumeSchedule, FireSchedule, ScheduleDue, RunEnded],
    inner=[ScheduleDue, RunEnded], events=SCHEDULE_EVENTS,
)  # fmt: skip
