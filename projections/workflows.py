"""Definitions of workflows: one row per workflow, with its newest version and its schedule, and one per version."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from events.definitions import WorkflowPublished, WorkflowRetired
from events.envelope import Event
from events.schedules import (
    ScheduleAdvanced,
    ScheduleFired,
    SchedulePaused,
    ScheduleRemoved,
    ScheduleResumed,
    ScheduleSet,
)
from projections.core.definition import Projection, Ref, Row, Table
from projections.core.rows import Rows
from projections.runs import plain
from projections.timeline import text

WORKFLOWS: Final = Table(
    "workflows",
    {
        "tenant": str,
        "name": str,
        "version": int,
        "hash": str,
        "retired": bool,
        "steps": int,
        "inputs": dict,
        "published_at": int | None,
        "by": str,
        "schedule": dict | None,
        "schedule_paused": bool,
        "next_at": int | None,
        "fired_at": int | None,
        "fired_run": str | None,
    },
    key=("tenant", "name"),
)
"""`version` is the newest, 0 for a workflow that only has a schedule so far; `inputs` its JSON Schema; `steps` those of
its outermost block; `next_at` when it runs by itself next."""

VERSIONS: Final = Table(
    "workflow_versions",
    {
        "tenant": str,
        "name": str,
        "version": int,
        "hash": str,
        "source": str,
        "inputs": dict,
        "published_at": int,
        "by": str,
    },
    key=("tenant", "name", "version"),
)
"""`source` is the definition as it was written."""


class _Root(msgspec.Struct, frozen=True):
    steps: tuple[msgspec.Raw, ...] = ()


class _Plan(msgspec.Struct, frozen=True):
    """As much of a plan as is shown."""

    root: _Root = _Root()
    inputs: dict[str, Any] = {}


_decode_plan = msgspec.json.Decoder(_Plan).decode


def keys(event: Event, data: Any) -> list[Ref]:
    """The workflow."""
    return [(WORKFLOWS, (event.tenant, event.stream.partition("/")[2]))]


def apply(rows: Rows, event: Event, data: Any) -> None:
    """A version more, or another word on the schedule."""
    name = event.stream.partition("/")[2]
    row = rows.get(WORKFLOWS, event.tenant, name) or _new(event.tenant, name)
    match data:
        case WorkflowPublished():
            plan = _decode_plan(data.plan)
            inputs = plain(plan.inputs)
            row.update(version=data.version, hash=data.hash, retired=False, steps=len(plan.root.steps), inputs=inputs)
            row.update(published_at=data.at, by=text(data.by))
            rows.put(
                VERSIONS,
                {
                    "tenant": event.tenant,
                    "name": name,
                    "version": data.version,
                    "hash": data.hash,
                    "source": data.source.replace("\0", ""),
                    "inputs": inputs,
                    "published_at": data.at,
                    "by": text(data.by),
                },
            )
        case WorkflowRetired():
            row["retired"] = True
        case ScheduleSet():
            row.update(schedule=plain(data.recurrence), schedule_paused=False, next_at=None)
        case ScheduleRemoved():
            row.update(schedule=None, schedule_paused=False, next_at=None)
        case SchedulePaused():
            row.update(schedule_paused=True, next_at=None)
        case ScheduleResumed():
            row["schedule_paused"] = False
        case ScheduleFired():
            row.update(fired_at=data.at, fired_run=text(data.run))
        case ScheduleAdvanced(next=next, fires=fires):
            row["next_at"] = None if row["schedule_paused"] else fires or next
        case _:
            return
    rows.put(WORKFLOWS, row)


def _new(tenant: str, name: str) -> Row:
    return {
        "tenant": tenant,
        "name": name,
        "version": 0,
        "hash": "",
        "retired": False,
        "steps": 0,
        "inputs": {},
        "published_at": None,
        "by": "",
        "schedule": None,
        "schedule_paused": False,
        "next_at": None,
        "fired_at": None,
        "fired_run": None,
    }


PROJECTION = Projection(
    "workflows",
    version=1,
    tables=[WORKFLOWS, VERSIONS],
    types=[
        WorkflowPublished, WorkflowRetired, ScheduleSet, ScheduleRemoved, SchedulePaused, ScheduleResumed,
        ScheduleFired, ScheduleAdvanced,
    ],
    keys=keys,
    apply=apply,
    reads=("tenant", "stream"),
)  # fmt: skip
