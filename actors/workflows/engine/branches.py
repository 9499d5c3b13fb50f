"""Switches: which of the steps named run. What was not chosen is skipped, and so is what only it would have led to."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.workflows.engine import flow
from actors.workflows.engine.look import look_from
from actors.workflows.engine.turn import Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.places import in_plan, inside, scope_of
from actors.workflows.plan import Step, SwitchAction
from actors.workflows.values import MISSING
from events.workflows import BranchTaken

SHOWN = 2_000
"""Characters of one value that a recorded decision shows."""


def choose(turn: Turn, place: str, action: SwitchAction) -> None:
    """Take the first case that holds (inclusive: all that hold); without any, the one that is for otherwise."""
    seen: dict[str, Any] = {}
    look = look_from(turn, place)
    chosen: list[str] = []
    for n, case in enumerate(action.cases):
        if case.when is None:
            holds = not chosen
        else:
            template = turn.template(place, f"case{n}", case.when)
            seen.update(template.inputs(look))
            holds = template.render(look)
            if not isinstance(holds, bool):
                raise ExpressionError(f"case {n + 1}: {case.when} is {holds!r}, neither true nor false")
        if holds:
            chosen += [name for name in case.then if name not in chosen]
            if not action.inclusive:
                break
    others = list(dict.fromkeys(name for case in action.cases for name in case.then if name not in chosen))
    turn.emit(BranchTaken(place, turn.now, chosen, others, shown(seen)))
    flow.conclude(turn, place, chosen)


def passed_over(turn: Turn, place: str, step: Step) -> str:
    """The name of a switch that this step hangs on and that did not choose it; empty when there is none."""
    scope = scope_of(place)
    steps = turn.index.steps
    for need in step.needs:
        at = inside(scope, need)
        action = steps[in_plan(at)].action
        if isinstance(action, SwitchAction) and any(step.name in case.then for case in action.cases):
            chosen = turn.node(at).chosen
            if chosen is not None and step.name not in chosen:
                return need
    return ""


def shown(seen: dict[str, Any]) -> dict[str, Any]:
    """What a decision saw, short enough to be kept beside it."""
    facts: dict[str, Any] = {}
    for name, value in seen.items():
        if value is MISSING:
            continue
        text = msgspec.json.encode(value)
        facts[name] = value if len(text) <= SHOWN else f"{len(text)} bytes"
    return facts
