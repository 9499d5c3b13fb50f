"""The graph of a plan: its steps with the groups they stand in, and what needs what."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.workflows.plan import (
    Action,
    ApprovalAction,
    GroupAction,
    Plan,
    Step,
    SwitchAction,
    TaskAction,
    WaitAction,
    WorkflowAction,
)
from actors.workflows.plan import Graph as Block


class Vertex(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step. `place` is its place in the plan (`group/step`, `step!catch/step`), `group` that of the block it is in.

    `holds`: it is a box around other steps. `detail` is a second line, `marks` are words such as map, loop, retry.
    """

    place: str
    label: str
    kind: str
    group: str = ""
    holds: bool = False
    detail: str = ""
    marks: tuple[str, ...] = ()
    status: str = ""
    produces: tuple[str, ...] = ()


class Edge(msgspec.Struct, frozen=True, omit_defaults=True):
    """`head` begins after `tail` has ended; `kind` is needs, chosen (a switch leads there), catch or finally."""

    tail: str
    head: str
    kind: str = "needs"


class Graph(msgspec.Struct, frozen=True, omit_defaults=True):
    """Vertices in an order in which every one comes after those it depends on, and after the group it is in."""

    name: str
    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]


def graph_of(plan: Plan, statuses: Mapping[str, str] | None = None) -> Graph:
    """The graph of a plan; `statuses` of a run by place (of the plan, as in `places.in_plan`)."""
    vertices: list[Vertex] = []
    edges: list[Edge] = []
    _add(plan.root, "", "", statuses or {}, vertices, edges)
    return Graph(plan.name, tuple(vertices), tuple(edges))


def _add(
    block: Block, prefix: str, group: str, statuses: Mapping[str, str], vertices: list[Vertex], edges: list[Edge]
) -> None:
    switches = {s.name: s.action for s in block.steps if isinstance(s.action, SwitchAction)}
    for step in block.steps:
        place = f"{prefix}{step.name}"
        holds = isinstance(step.action, GroupAction)
        vertices.append(
            Vertex(
                place, step.name, kind_of(step.action), group, holds, _detail(step.action), _marks(step),
                statuses.get(place, ""), tuple(p.asset for p in step.produces),
            )
        )  # fmt: skip
        for need in step.needs:
            action = switches.get(need)
            chosen = action is not None and any(step.name in case.then for case in action.cases)
            edges.append(Edge(f"{prefix}{need}", place, "chosen" if chosen else "needs"))
        if isinstance(step.action, GroupAction):
            _add(step.action.body, f"{place}/", place, statuses, vertices, edges)
        for name, held in (("catch", step.catch), ("finally", step.finally_)):
            if held is not None and held.steps:
                inner = f"{place}!{name}"
                vertices.append(Vertex(inner, name, name, group, True, status=statuses.get(inner, "")))
                edges.append(Edge(place, inner, name))
                _add(held, f"{inner}/", inner, statuses, vertices, edges)


def kind_of(action: Action) -> str:
    """What an action is called."""
    return {"TaskAction": "task", "WorkflowAction": "workflow", "WaitAction": "wait", "ApprovalAction": "approval",
            "SwitchAction": "switch", "GroupAction": "group"}.get(type(action).__name__, "value")  # fmt: skip


def _detail(action: Action) -> str:
    match action:
        case TaskAction(task=task):
            return task
        case WorkflowAction(workflow=workflow):
            return workflow
        case WaitAction(event=event, seconds=seconds):
            return f"for {event}" if event else f"{seconds:g} s" if isinstance(seconds, int | float) else "until"
        case ApprovalAction(title=title):
            return title or "approval"
        case _:
            return kind_of(action)


def _marks(step: Step) -> tuple[str, ...]:
    said = {
        "map": step.each is not None, "loop": step.loop is not None, "when": step.when is not None,
        "retry": step.retry.attempts > 1, "undo": step.undo is not None, "cache": step.cache,
        "optional": step.optional,
    }  # fmt: skip
    return tuple(name for name, is_said in said.items() if is_said)
