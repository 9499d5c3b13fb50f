"""Runs of workflows: one row per run, and how many there are of each status. Their steps are in `timeline.py`.

Inputs, outputs and the plan stay in the log: the first, the last and the second event of the run's stream. A run that
handles some of the items of a large map has `part` set: it is shown as part of its `parent`.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from events.definitions import WorkflowRunEnded, WorkflowRunQueued
from events.envelope import Event
from events.workflows import (
    RUN_STARTED,
    RunClosing,
    RunFinished,
    RunPaused,
    RunRetried,
    RunStarted,
    RunUnpaused,
)
from projections.core.definition import Projection, Ref, Row, Table
from projections.core.rows import Rows
from projections.timeline import PROGRESS, STEP_EVENTS, STEPS, fold, no_progress, place, steps_of, text

RUNS: Final = Table(
    "runs",
    {
        "tenant": str,
        "run": str,
        "workflow": str,
        "version": int,
        "definition": str,
        "status": str,
        "closing": str | None,
        "paused": bool,
        "part": bool,
        "parent": str | None,
        "parent_step": str | None,
        "first": int,
        "labels": dict,
        "priority": int,
        "by": str,
        "forked_from": str | None,
        "queued_at": int | None,
        "started_at": int,
        "finished_at": int | None,
        "finished": int | None,
        "error_kind": str | None,
        "error": str | None,
        "usage": dict,
        "position": int,
    },
    key=("tenant", "run"),
    indexes=[("started_at", "tenant"), ("workflow", "tenant", "started_at"), ("parent", "tenant")],
)
"""`status` is queued (in line at its workflow), running, succeeded, failed or cancelled; `closing` the status a running
one will end with. `started_at` of a queued run is when it was asked for. `finished` is the version of the stream that
ended it; `first` the index of a part's first item in the map `parent_step`."""

COUNTS: Final = Table("run_counts", {"tenant": str, "status": str, "runs": int}, key=("tenant", "status"))
"""Runs that are not parts, by status."""

STATUSES: Final = ("queued", "running", "succeeded", "failed", "cancelled")

_RUN_EVENTS: Final = (RUN_STARTED, RunPaused, RunUnpaused, RunClosing, RunFinished)
_COUNTED: Final = (RunStarted, RunFinished, RunRetried, WorkflowRunQueued, WorkflowRunEnded)


def run_of(event: Event, data: Any) -> str:
    """The run an event is about."""
    if isinstance(data, WorkflowRunQueued | WorkflowRunEnded):
        return data.run
    return event.stream.partition("/")[2]


def keys(event: Event, data: Any) -> list[Ref]:
    """The run, the step, the counts: as few as the event touches."""
    found: list[Ref] = []
    if data.__class__ in STEP_EVENTS:
        found = steps_of(event, data)
        if not isinstance(data, RunRetried):
            return found
    found.append((RUNS, (event.tenant, place(run_of(event, data)))))
    if isinstance(data, _COUNTED):
        found += [(COUNTS, (event.tenant, status)) for status in STATUSES]
    return found


def apply(rows: Rows, event: Event, data: Any) -> None:
    """Steps go to their rows; what changes the run itself, to its row and the counts."""
    if data.__class__ in STEP_EVENTS:
        fold(rows, event, data)
        if not isinstance(data, RunRetried):
            return
    run = place(run_of(event, data))
    row = rows.get(RUNS, event.tenant, run)
    before = None if row is None or row["part"] else row["status"]
    match data:
        case RunStarted():
            row = _started(event, run, row, data)
            rows.put(PROGRESS, no_progress(event.tenant, run, row["parent_step"] if row["part"] else ""))
        case WorkflowRunQueued():
            row = row or _queued(event, run, data)
        case _ if row is None:
            return
        case WorkflowRunEnded(status=status):
            if row["status"] != "queued":
                return
            row.update(status=_known(status), finished_at=data.at, error=text(data.reason) or None)
        case RunPaused():
            row["paused"] = True
        case RunUnpaused():
            row["paused"] = False
        case RunClosing(status=status):
            row["closing"] = text(status)
        case RunRetried():
            row.update(status="running", closing=None, finished_at=None, finished=None, error_kind=None, error=None)
        case RunFinished():
            _finished(event, row, data)
        case _:
            return
    row["position"] = event.position
    rows.put(RUNS, row)
    if not row["part"] and row["status"] != before:
        _count(rows, event.tenant, before, -1)
        _count(rows, event.tenant, row["status"], 1)


def _count(rows: Rows, tenant: str, status: str | None, change: int) -> None:
    if status is not None:
        counted = rows.get(COUNTS, tenant, status)
        total = change + (0 if counted is None else counted["runs"])
        rows.put(COUNTS, {"tenant": tenant, "status": status, "runs": total})


def _known(status: str) -> str:
    return status if status in STATUSES else "failed"


def _started(event: Event, run: str, row: Row | None, e: RunStarted) -> Row:
    part = e.part is not None
    new = _new(event, run, e.workflow, e.version, e.at, e.by)
    new.update(
        definition=text(e.definition),
        labels=plain(e.labels),
        priority=e.priority,
        part=part,
        first=cast("dict[str, int]", e.part)["first"] if part else 0,
        forked_from=text(e.forked_from).removeprefix("run/") or None,
        queued_at=None if row is None else row["queued_at"],
    )
    if e.parent is not None:
        new["parent"] = place(e.parent.address.partition("/")[2])
        new["parent_step"] = place(e.parent.ref.rpartition("%")[0] if part else e.parent.ref)
    return new


def _queued(event: Event, run: str, e: WorkflowRunQueued) -> Row:
    request = cast("dict[str, Any]", e.request)
    row = _new(event, run, event.stream.partition("/")[2], e.version, e.at, str(request.get("by", "")))
    row.update(status="queued", queued_at=e.at, labels=plain(request.get("labels") or {}))
    return row


def _new(event: Event, run: str, workflow: str, version: int, at: int, by: str) -> Row:
    return {
        "tenant": event.tenant,
        "run": run,
        "workflow": text(workflow),
        "version": version,
        "definition": "",
        "status": "running",
        "closing": None,
        "paused": False,
        "part": False,
        "parent": None,
        "parent_step": None,
        "first": 0,
        "labels": {},
        "priority": 5,
        "by": text(by),
        "forked_from": None,
        "queued_at": None,
        "started_at": at,
        "finished_at": None,
        "finished": None,
        "error_kind": None,
        "error": None,
        "usage": {},
        "position": event.position,
    }


def _finished(event: Event, row: Row, e: RunFinished) -> None:
    row.update(
        status=_known(e.status),
        closing=None,
        paused=False,
        finished_at=e.at,
        finished=event.version,
        usage=plain(e.usage),
        error_kind=None if e.error is None else text(e.error.kind),
        error=None if e.error is None else text(e.error.message),
    )


def plain(value: Any) -> Any:
    """A JSON value that a column can hold: without NUL characters."""
    return msgspec.json.decode(msgspec.json.encode(value).replace(b"\\u0000", b""))


PROJECTION = Projection(
    "runs",
    version=1,
    tables=[RUNS, STEPS, PROGRESS, COUNTS],
    types=[*_RUN_EVENTS, *STEP_EVENTS, WorkflowRunQueued, WorkflowRunEnded],
    keys=keys,
    apply=apply,
    reads=("tenant", "stream", "version", "recorded_at"),
)
