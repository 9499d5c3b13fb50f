"""What the names in an expression stand for, seen from a place: the nearest meaning wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from actors.workflows.expressions import ExpressionError, Reference
from actors.workflows.moves import node_at
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
        if root == "inputs":
            return walk(turn.run.inputs, reference[1:])
        if root == "steps":
            return _step(turn, place, reference)
        if root == "run":
            return walk(_about(turn), reference[1:])
        return _variable(turn, place, reference)

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


def captured_as(reference: Reference) -> str:
    """What a part of a map calls a value that its items read from around the map."""
    return "\n".join(reference)


def _step(turn: Turn, place: str, reference: Reference) -> Any:
    steps, part = turn.index.steps, turn.run.part
    name = reference[1] if len(reference) > 1 else None
    for scope, kind, _ in around(place):
        if part is not None and scope == part.place:
            return part.captured.get(captured_as(reference), MISSING)
        if kind != "scope":
            continue
        if name is None:
            graph = turn.index.graphs[in_plan(scope)]
            return {step.name: _facts(turn, inside(scope, step.name), ()) for step in graph.steps}
        if inside(in_plan(scope), name) in steps:
            return _facts(turn, inside(scope, name), reference[2:])
    return MISSING


def _facts(turn: Turn, place: str, path: tuple[str, ...]) -> Any:
    node = node_at(turn.run, place)
    field = path[0] if path else ""
    if field == "output" and node.status == "succeeded":
        return walk(node.output, path[1:])
    facts: dict[str, Any] = {"status": node.status, "attempts": node.attempt}
    if node.status == "succeeded":
        facts["output"] = node.output
    if node.error is not None:
        facts["error"] = msgspec.to_builtins(node.error)
    return walk(facts, path)


def _about(turn: Turn) -> dict[str, Any]:
    run = turn.run
    return {
        "id": turn.address.partition("/")[2],
        "workflow": run.workflow,
        "version": run.version,
        "started_at": run.started_at,
        "labels": run.labels,
    }


def _variable(turn: Turn, place: str, reference: Reference) -> Any:
    name, path = reference[0], reference[1:]
    part = turn.run.part
    for owner, kind, number in around(place):
        if kind == "scope":
            scope = turn.run.scopes.get(owner)
            if scope is not None and name in scope.vars:
                return walk(scope.vars[name], path)
        elif kind == "item":
            step = turn.index.steps[in_plan(owner)]
            held = node_at(turn.run, owner).held
            first = part.first if part is not None and part.place == owner else 0
            if step.each is None or held is None:
                continue
            if name in (step.each.name, "item"):
                return walk(held.items[number], path)
            if name == "index":
                return first + number
            if name == "key":
                return held.keys[number] if held.keys else str(first + number)
        elif name == "iteration":
            # Before the first iteration there is nothing, and `has(iteration.last.x)` says so.
            last: Any = node_at(turn.run, f"{owner}#{number - 1}").output if number else {}
            return walk({"index": number, "last": last}, path)
    if part is not None and (captured := captured_as(reference)) in part.captured:
        return part.captured[captured]
    raise ExpressionError(f"{name!r} has no value here")
