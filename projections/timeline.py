"""What each step of a run did when: one row per step, with the intervals it was queued, running, waiting or retrying.

Tables of the read model `runs`. `history` is JSON: the intervals that are over, oldest first, each
`{state, from, to, attempt, worker?, reason?, error?}` in µs; the last one is the row's own `status` since `since`.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

import msgspec

from events import workflows as ev
from events.envelope import Event
from projections.core.definition import Ref, Row, Table
from projections.core.rows import Rows

STEPS: Final = Table(
    "steps",
    {
        "tenant": str,
        "run": str,
        "step": str,
        "status": str,
        "task": str | None,
        "queue": str | None,
        "attempt": int,
        "reason": str | None,
        "ref": str | None,
        "until": int | None,
        "began": int,
        "since": int,
        "ended": int | None,
        "started": int | None,
        "worker": str | None,
        "cached": str | None,
        "error_kind": str | None,
        "error": str | None,
        "items": int | None,
        "usage": str,
        "history": str,
        "position": int,
    },
    key=("tenant", "run", "step"),
    indexes=[("run", "tenant", "position")],
)
"""`status` is pending, queued, running, waiting, retrying, cancelling or unknown, or how the step ended. `reason` says
what it waits for or why it did not succeed, `ref` names it (an approval, a run, a type of event)."""

LIVE: Final = ("pending", "queued", "running", "waiting", "retrying", "cancelling", "unknown")
DONE: Final = ("succeeded", "failed", "skipped", "cancelled")

PROGRESS: Final = Table(
    "run_progress",
    {"tenant": str, "run": str, "owner": str, **dict.fromkeys((*LIVE, *DONE), int)},
    key=("tenant", "run"),
)
"""How many steps of a run have each status, items of maps and iterations of loops included. `owner` is the map whose
items the run handles as a part of another one: there it is a step, here it is not."""

ENDED: Final = frozenset(DONE)

KEPT: Final = 200
"""Intervals of one step that are kept; of more, the oldest go."""

LONGEST: Final = 200
"""Characters of a step's place; a longer one is cut and told apart by a digest."""

MAX_TEXT: Final = 2_000

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode


def place(step: str) -> str:
    """The step as a key."""
    if len(step) <= LONGEST:
        return step
    return f"{step[: LONGEST - 33]}~{blake2b(step.encode(), digest_size=16).hexdigest()}"


def text(value: str) -> str:
    """What a text column can hold of an error or a reason."""
    return value.replace("\0", "")[:MAX_TEXT]


def steps_of(event: Event, data: Any) -> list[Ref]:
    """The rows an event of a run touches here."""
    run = event.stream.partition("/")[2]
    match data:
        case ev.RunRetried(steps=steps):
            touched = steps
        case ev.ScopeOpened():
            touched = [_owner(data)]
        case _:
            touched = [data.step]
    progress: Ref = (PROGRESS, (event.tenant, run))
    return [progress, *((STEPS, (event.tenant, run, place(step))) for step in touched)]


def fold(rows: Rows, event: Event, data: Any) -> None:
    """Bring the step's row up to date."""
    _FOLDS[data.__class__](rows, event, data)


def intervals(row: Row) -> list[dict[str, Any]]:
    """All intervals of a step, the current one with `to` null."""
    found: list[dict[str, Any]] = _decode(row["history"])
    if row["status"] not in ENDED and row["status"] != "pending":
        found.append(_interval(row, row["since"], None))
    return found


def _interval(row: Row, start: int, end: int | None, state: str = "") -> dict[str, Any]:
    interval: dict[str, Any] = {
        "state": state or row["status"], "from": start, "to": end, "attempt": row["attempt"]
    }  # fmt: skip
    if row["reason"] and interval["state"] not in ("queued", "running"):
        interval["reason"] = row["reason"]
    if row["worker"] and interval["state"] == "running":
        interval["worker"] = row["worker"]
    return interval


def _row(rows: Rows, event: Event, step: str, at: int) -> tuple[Row, str]:
    """The step's row and the status it has; a fresh one has none."""
    run = event.stream.partition("/")[2]
    found = rows.get(STEPS, event.tenant, run, place(step))
    row = found or {
        "tenant": event.tenant,
        "run": run,
        "step": place(step),
        "status": "pending",
        "task": None,
        "queue": None,
        "attempt": 0,
        "reason": None,
        "ref": None,
        "until": None,
        "began": at,
        "since": at,
        "ended": None,
        "started": None,
        "worker": None,
        "cached": None,
        "error_kind": None,
        "error": None,
        "items": None,
        "usage": "{}",
        "history": "[]",
        "position": 0,
    }
    row["position"] = event.position
    return row, found["status"] if found else ""


def no_progress(tenant: str, run: str, owner: str = "") -> Row:
    """The progress of a run that has just begun."""
    return {"tenant": tenant, "run": run, "owner": owner, **dict.fromkeys((*LIVE, *DONE), 0)}


def _put(rows: Rows, row: Row, before: str) -> None:
    """Store a step whose status was `before` (empty: it is new), and count it."""
    counts = rows.get(PROGRESS, row["tenant"], row["run"]) or no_progress(row["tenant"], row["run"])
    if counts["owner"] == row["step"]:
        return
    rows.put(STEPS, row)
    status = row["status"]
    if status == before or "%" in row["step"]:
        return
    counts[status] += 1
    if before:
        counts[before] -= 1
    rows.put(PROGRESS, counts)


def _close(row: Row, at: int) -> None:
    """The interval the step is in ends."""
    status, since = row["status"], row["since"]
    if status == "pending" or status in ENDED or at <= since:
        return
    found: list[dict[str, Any]] = []
    started = row["started"]
    if status in ("queued", "cancelling") and started is not None and since < started <= at:
        found = [_interval(row, since, started, "queued"), _interval(row, started, at, "running")]
    elif status == "queued":
        # Nobody said when it began: the time is the call's.
        found = [_interval(row, since, at, "running")]
    else:
        found = [_interval(row, since, at)]
    kept = row["history"]
    if kept.count('"state"') + len(found) > KEPT:
        row["history"] = _encode([*_decode(kept)[len(found) :], *found]).decode()
    else:
        added = _encode(found).decode()[1:-1]
        row["history"] = f"{kept[:-1]}{',' if len(kept) > 2 else ''}{added}]"


def _go(rows: Rows, event: Event, step: str, at: int, status: str, **changes: Any) -> None:
    row, before = _row(rows, event, step, at)
    _close(row, at)
    row.update(
        {"status": status, "since": at, "ended": None, "reason": None, "ref": None, "until": None, "started": None}
    )
    row.update(changes)
    _put(rows, row, before)


def _queued(rows: Rows, event: Event, e: ev.StepQueued) -> None:
    _go(rows, event, e.step, e.at, "queued", task=e.task, queue=e.queue or None, attempt=e.attempt, worker=None)


def _waiting(rows: Rows, event: Event, e: ev.StepWaiting) -> None:
    _go(rows, event, e.step, e.at, "waiting", reason=text(e.reason), ref=text(e.ref) or None, until=e.until)


def _retrying(rows: Rows, event: Event, e: ev.StepRetrying) -> None:
    _go(
        rows, event, e.step, e.at, "retrying", attempt=e.attempt, until=e.until, reason=text(e.error.message),
        error_kind=text(e.error.kind), error=text(e.error.message),
    )  # fmt: skip


def _cancelling(rows: Rows, event: Event, e: ev.StepCancelling) -> None:
    _go(rows, event, e.step, e.at, "cancelling", reason=text(e.reason))


def _unknown(rows: Rows, event: Event, e: ev.StepUnknown) -> None:
    _go(rows, event, e.step, e.at, "unknown", reason=text(e.reason))


def _end(rows: Rows, event: Event, step: str, at: int, status: str, e: Any, **changes: Any) -> None:
    row, before = _row(rows, event, step, at)
    row["started"] = getattr(e, "started", None)
    row["worker"] = text(getattr(e, "worker", "")) or None
    _close(row, at)
    row.update({"status": status, "since": at, "ended": at, "reason": None, "ref": None, "until": None})
    row["attempt"] = max(row["attempt"], getattr(e, "attempt", 0) if row["task"] else 0)
    if usage := getattr(e, "usage", None):
        row["usage"] = text(_encode(usage).decode())
    row.update(changes)
    _put(rows, row, before)


def _succeeded(rows: Rows, event: Event, e: ev.StepSucceeded) -> None:
    blocked = f"its check {e.blocked!r} failed: nothing is made from it" if e.blocked else ""
    facts = {"cached": text(e.cached) or None, "reason": text(blocked) or None}
    _end(rows, event, e.step, e.at, "succeeded", e, **facts, **_error(e.recovered))


def _failed(rows: Rows, event: Event, e: ev.StepFailed) -> None:
    _end(rows, event, e.step, e.at, "failed", e, **_error(e.error))


def _error(error: ev.StepError | None) -> dict[str, Any]:
    if error is None:
        return {"error_kind": None, "error": None}
    return {"error_kind": text(error.kind), "error": text(error.message)}


def _skipped(rows: Rows, event: Event, e: ev.StepSkipped) -> None:
    _end(rows, event, e.step, e.at, "skipped", e, reason=text(e.reason))


def _cancelled(rows: Rows, event: Event, e: ev.StepCancelled) -> None:
    _end(rows, event, e.step, e.at, "cancelled", e, reason=text(e.reason))


def _opened(rows: Rows, event: Event, e: ev.ScopeOpened) -> None:
    step = _owner(e)
    row = rows.get(STEPS, event.tenant, event.stream.partition("/")[2], place(step))
    if step and (row is None or row["status"] not in (*ENDED, "running")):
        _go(rows, event, step, e.at, "running")


def _owner(e: ev.ScopeOpened) -> str:
    """The step that a block belongs to."""
    return e.scope.rpartition("!")[0] if e.kind in ("catch", "finally") else e.scope


def _expanded(rows: Rows, event: Event, e: ev.MapExpanded) -> None:
    _go(rows, event, e.step, e.at, "running", items=e.count)


def _looping(rows: Rows, event: Event, e: ev.LoopStarted) -> None:
    _go(rows, event, e.step, e.at, "running")


def _child_ended(rows: Rows, event: Event, e: ev.ChildEnded) -> None:
    """Of a part of a map only: a step that ran a workflow ends by itself."""
    if "%" in e.step:
        status = e.status if e.status in ENDED else "failed"
        _end(rows, event, e.step, e.at, status, e, **_error(e.error))


def _retried(rows: Rows, event: Event, e: ev.RunRetried) -> None:
    run = event.stream.partition("/")[2]
    for step in e.steps:
        row = rows.get(STEPS, event.tenant, run, place(step))
        if row is not None and row["status"] != "succeeded":
            at, before = event.recorded_at, row["status"]
            _close(row, at)
            row.update(status="pending", since=at, ended=None, reason=None, error_kind=None, error=None)
            row["position"] = event.position
            _put(rows, row, before)


_FOLDS: Final[dict[type[Any], Callable[[Rows, Event, Any], None]]] = {
    ev.StepQueued: _queued,
    ev.StepWaiting: _waiting,
    ev.StepRetrying: _retrying,
    ev.StepCancelling: _cancelling,
    ev.StepUnknown: _unknown,
    ev.StepSucceeded: _succeeded,
    ev.StepFailed: _failed,
    ev.StepSkipped: _skipped,
    ev.StepCancelled: _cancelled,
    ev.ScopeOpened: _opened,
    ev.MapExpanded: _expanded,
    ev.LoopStarted: _looping,
    ev.ChildEnded: _child_ended,
    ev.RunRetried: _retried,
}

STEP_EVENTS: Final = tuple(_FOLDS)
"""The events that touch a step's row."""
