"""A workflow follows what is told of its tasks: which run, which ended, and whether any began before its time."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from actors import Kind, Message, Plugin
from events.envelope import Event
from projections import Projection, Rows, Table

# What happens outside. Times are microseconds since the workflow was submitted.


class WorkflowSubmitted(Struct, frozen=True):
    workflow: str
    tasks: int


class TaskStarted(Struct, frozen=True):
    workflow: str
    task: str
    machine: str
    parents: list[str]
    at: int


class TaskEnded(Struct, frozen=True):
    workflow: str
    task: str
    machine: str
    runtime: int
    at: int


# What the workflow makes of it.


class Submitted(Struct, frozen=True):
    tasks: int


class Began(Struct, frozen=True):
    """`early` names the tasks it depends on that had not ended."""

    task: str
    at: int
    early: list[str]


class Ended(Struct, frozen=True):
    task: str
    machine: str
    at: int
    runtime: int


class Completed(Struct, frozen=True):
    makespan: int


class Workflow(Struct):
    tasks: int = 0
    running: dict[str, int] = {}
    ended: dict[str, int] = {}
    busy: dict[str, int] = {}
    early: list[str] = []
    makespan: int | None = None


def decide(state: Workflow, message: Message) -> list[Any]:
    match message.data:
        case WorkflowSubmitted(_, tasks):
            return [Submitted(tasks)]
        case TaskStarted(_, task, _, parents, at):
            return [Began(task, at, [parent for parent in parents if parent not in state.ended])]
        case TaskEnded(_, task, machine, runtime, at):
            last = len(state.ended) + 1 == state.tasks
            completed = [Completed(max(at, *state.ended.values(), 0))] if last else []
            return [Ended(task, machine, at, runtime), *completed]
        case _:
            return []


def evolve(state: Workflow, event: Any) -> Workflow:
    match event:
        case Submitted(tasks):
            state.tasks = tasks
        case Began(task, at, early):
            state.running[task] = at
            state.early += early
        case Ended(task, machine, at, runtime):
            del state.running[task]
            state.ended[task] = at
            state.busy[machine] = state.busy.get(machine, 0) + runtime
        case Completed(makespan):
            state.makespan = makespan
        case _:
            pass
    return state


def _execution(event: Any, _envelope: Event) -> str:
    return f"execution/{event.workflow}"


execution = Kind(
    "execution",
    state=Workflow,
    decide=decide,
    evolve=evolve,
    events=[Submitted, Began, Ended, Completed],
    subscribes={WorkflowSubmitted: _execution, TaskStarted: _execution, TaskEnded: _execution},
)

SCHEDULE = Table(
    "schedule",
    {"tenant": str, "workflow": str, "task": str, "machine": str, "started": int, "ended": int | None},
    key=("tenant", "workflow", "task"),
    indexes=[("tenant", "workflow", "started")],
)


def apply(rows: Rows, event: Event, data: Any) -> None:
    row = rows.get(SCHEDULE, event.tenant, data.workflow, data.task) or {
        "tenant": event.tenant, "workflow": data.workflow, "task": data.task, "machine": data.machine,
        "started": data.at, "ended": None,
    }  # fmt: skip
    if isinstance(data, TaskEnded):
        row["ended"] = data.at
    rows.put(SCHEDULE, row)


schedule = Projection(
    "schedule",
    version=1,
    tables=[SCHEDULE],
    types=[TaskStarted, TaskEnded],
    keys=lambda event, data: [(SCHEDULE, (event.tenant, data.workflow, data.task))],
    apply=apply,
)

plugin = Plugin(kinds=[execution], events=[WorkflowSubmitted, TaskStarted, TaskEnded], projections=[schedule])
