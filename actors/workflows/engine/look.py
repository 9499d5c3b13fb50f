"""What the names in an expression stand for, seen from a place: the nearest meaning wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from actors.workflows.expressions import ExpressionError, Reference
from actors.workflows.places import around, in_plan, inside
from actors.workflows.values import MISSING, Look

if TYPE_CHECKING:
    from actors.workflows.engine.turn import Turn


def look_from(turn: Turn, place: str, extra: dict[str, Any] | None = None) -> Look:
    """A function that finds what a reference names from a place; `extra` names come first."""

    def look(reference: Reference) -> Any:
        root = reference[0]
        if extra is not None and root in extra:
            return walk(extra[root], reference[1:])
        if turn.run.part is not None and (captured := ".".join(reference)) in turn.run.part.captured:
            return turn.run.part.captured[captured]
        if root == "inputs":
            return walk(turn.run.inputs, reference[1:])
        if root == "steps":
            return _step(turn, place, reference)
        if root == "run":
            return walk(_about(turn), reference[1:])
        return walk(_variable(turn, place, root), reference[1:])

    return look


def walk(start: Any, path: tuple[str, ...]) -> Any:
    """Go down maps by name. MISSING when a name is not there; a result kept elsewhere cannot be entered."""
    value = start
    for name in path:
        if not isinstance(value, dict):
            return MISSING
        value = cast("dict[str, Any]", value)
        if "$blob" in value:
            raise ExpressionError(
                f"{name!r} is within a result that is too large to be kept in the run",
                hint="pass the whole result to a task, and let that task return what the expression needs",
            )
        if name not in value:
            return MISSING
        value = value[name]
    return value


def _step(turn: Turn, place: str, reference: Reference) -> Any:
    if len(reference) < 2:
        return {name: _facts(turn, name) for name in (s.name for s in turn.index.plan.root.steps)}
    name = reference[1]
    graphs = turn.index.graphs
    for scope, kind, _ in around(place):
        if kind != "scope":
            continue
        if inside(in_plan(scope), name) in turn.index.steps and in_plan(scope) in graphs:
            return walk(_facts(turn, inside(scope, name)), reference[2:])
    return MISSING


def _facts(turn: Turn, place: str) -> dict[str, Any]:
    node = turn.node(place)
    facts: dict[str, Any] = {"status": node.status, "attempts": node.attempt}
    if node.status == "succeeded":
        facts["output"] = node.output
    if node.error is not None:
        facts["error"] = msgspec.to_builtins(node.error)
    return facts


def _about(turn: Turn) -> dict[str, Any]:
    run = turn.run
    return {
        "id": turn.address.partition("/")[2],
        "workflow": run.workflow,
        "version": run.version,
        "started_at": run.started_at,
        "labels": run.labels,
    }


def _variable(turn: Turn, place: str, name: str) -> Any:
    for owner, kind, number in around(place):
        if kind == "scope":
            scope = turn.run.scopes.get(owner)
            if scope is not None and name in scope.vars:
                return scope.vars[name]
            continue
        step = turn.index.steps[in_plan(owner)]
        node = turn.node(owner)
        if kind == "item" and step.each is not None:
            if node.held is None:
                break
            part = turn.run.part
            first = part.first if part is not None and part.place == owner else 0
            if name in (step.each.name, "item"):
                return node.held.items[number]
            if name == "index":
                return first + number
            if name == "key":
                return node.held.keys[number] if node.held.keys else str(first + number)
        if kind == "iteration" and name == "iteration":
            last = turn.node(f"{owner}#{number - 1}") if number else None
            return {"index": number, "last": last.output if last is not None else None}
    raise ExpressionError(f"{name!r} has no value here")
