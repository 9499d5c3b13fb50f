"""What the items of a large map read from around it: found once, and sent along with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.workflows.engine.look import captured_as, look_from
from actors.workflows.engine.turn import Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.places import in_plan
from actors.workflows.plan import SwitchAction, TaskAction, ValueAction, WaitAction, WorkflowAction
from actors.workflows.values import MISSING


def captured(turn: Turn, place: str) -> dict[str, Any]:
    """Every value around the map that an expression of its body reads, by reference.

    What is computed here may be hidden by a nearer meaning within the item; `look` prefers that one.
    """
    look = look_from(turn, place)
    found: dict[str, Any] = {}
    for at, field, value in _values(turn, in_plan(place)):
        try:
            references = turn.template(at, field, value).references
        except ExpressionError:
            continue  # it fails again where it is needed, and is then reported
        for reference in references:
            if reference[0] not in ("inputs", "run"):
                try:
                    value = look(reference)
                except ExpressionError:
                    continue  # it has a meaning only within the item
                if value is not MISSING:
                    found[captured_as(reference)] = value
    return found


def _values(turn: Turn, place: str) -> Iterator[tuple[str, str, Any]]:
    """(place in the plan, field, value) of all that is rendered in the body of a map, under the names used there."""
    index = turn.index
    for at, step in index.steps.items():
        if at != place and not at.startswith(f"{place}/"):
            continue
        action = step.action
        if isinstance(action, TaskAction | WorkflowAction):
            yield at, "input", action.input
        elif isinstance(action, ValueAction):
            yield at, "value", action.value
        elif isinstance(action, WaitAction):
            yield at, "seconds", action.seconds
            yield at, "until", action.until
            if action.match:
                yield at, "match", "${" + action.match + "}"
        elif isinstance(action, SwitchAction):
            for n, case in enumerate(action.cases):
                yield at, f"case{n}", case.when
        else:
            yield at, "what", getattr(action, "what", None)
        if step.loop is not None:
            yield at, "while", step.loop.while_
            if step.loop.until is not None:
                yield at, "loop until", step.loop.until
        for n, limit in enumerate(step.limits):
            yield at, f"limit{n}", limit.key
        for n, made in enumerate(step.produces):
            yield at, f"asset{n}", made.key
            yield at, f"content{n}", made.value
        if at == place:
            continue
        yield at, "when", step.when
        if step.undo is not None:
            yield at, "undo", step.undo.input
        if step.each is not None:
            yield at, "key", step.each.key
            for n, over in enumerate(step.each.over):
                yield at, f"over{n}", over
    for at, graph in index.graphs.items():
        if at == place or at.startswith(f"{place}/"):
            yield f"{at}/", "output", graph.output
