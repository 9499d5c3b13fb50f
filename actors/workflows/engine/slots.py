"""Whether an action may begin now: not while the run is paused, nor while all its slots are taken."""

from __future__ import annotations

from typing import Any

from actors.workflows.engine import blocks, branches, children, flow, gates, parts, undoing, waits
from actors.workflows.engine.turn import Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.moves import next_in_line
from actors.workflows.places import part_of
from actors.workflows.plan import (
    ApprovalAction,
    GroupAction,
    Step,
    SwitchAction,
    TaskAction,
    ValueAction,
    WaitAction,
)
from events.workflows import StepError, StepWaiting

PAUSED = "the run is paused"


def act(turn: Turn, place: str, step: Step) -> None:
    """Perform the action of a step, an item or an iteration, or let it wait for its turn."""
    action: Any = step.action
    kind = action.__class__
    try:
        if kind is ValueAction:
            flow.conclude(turn, place, turn.render(place, "value", action.value))
        elif kind is GroupAction:
            blocks.open_group(turn, place)
        elif kind is SwitchAction:
            branches.choose(turn, place, action)
        elif turn.run.paused:
            turn.emit(StepWaiting(place, PAUSED, turn.now))
        elif kind is TaskAction:
            gates.begin(turn, place, step, action)
        elif kind is WaitAction:
            waits.start(turn, place, action)
        elif kind is ApprovalAction:
            waits.ask(turn, place, action)
        else:
            children.start(turn, place, action)
    except ExpressionError as error:
        flow.conclude(turn, place, StepError("expression", error.message))


def limit_of(turn: Turn) -> int | None:
    """How many tasks of this run may be under way at once."""
    part = turn.run.part
    return turn.index.plan.concurrency if part is None else part.slots


def has_slot(turn: Turn) -> bool:
    """Whether one more task may begin."""
    limit = limit_of(turn)
    return limit is None or turn.run.running < limit


def freed(turn: Turn) -> None:
    """A task ended: somebody may wait for its slot."""
    if turn.run.tickets:
        turn.later("fill slots")


def fill(turn: Turn) -> None:
    """Let steps that wait for a slot of the run have those that are free."""
    if turn.run.paused:
        return
    while has_slot(turn) and (place := next_in_line(turn.run)) is not None:
        if turn.full:
            turn.later("fill slots")
            return
        again(turn, place)


def again(turn: Turn, place: str) -> None:
    """Begin what had to wait: for a slot, for a limit, for the run to go on, for its next attempt."""
    node = turn.node(place)
    if node.status not in ("waiting", "retrying"):
        return
    if place.endswith("!undo"):
        undoing.call(turn, place)
    elif part_of(place) is not None:
        parts.start(turn, place)
    else:
        act(turn, place, turn.step(place))
