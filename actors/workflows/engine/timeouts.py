"""The total time of a step, with all its attempts and its `catch`."""

from __future__ import annotations

from actors.core.outputs import Cancel, Schedule
from actors.workflows.engine.turn import Turn
from actors.workflows.messages import StepDue
from actors.workflows.places import in_plan
from actors.workflows.plan import Step


def total_begins(turn: Turn, place: str, step: Step) -> None:
    """From here on the step's time runs."""
    if step.timeouts.total is not None:
        due = StepDue(place, "total", turn.node(place).base)
        turn.out(Schedule(f"total:{place}", due, after=step.timeouts.total))


def total_is_over(turn: Turn, place: str) -> None:
    """The step ended in time."""
    if turn.index.steps[in_plan(place)].timeouts.total is not None:
        turn.out(Cancel(f"total:{place}"))
