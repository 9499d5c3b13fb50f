"""Loops: the same step again, while something holds or until it does."""

from __future__ import annotations

from actors.core.outputs import Schedule
from actors.workflows.engine import flow, slots
from actors.workflows.engine.look import look_from
from actors.workflows.engine.turn import Stopped, Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.messages import StepDue
from actors.workflows.places import repeats
from events.workflows import LoopStarted, StepError, StepSkipped, StepWaiting


def iterate(turn: Turn, place: str, number: int) -> None:
    """Begin an iteration, if there is to be one."""
    loop = turn.step(place).loop
    assert loop is not None
    node = turn.node(place)
    if number == 0 and node.status == "pending":
        turn.emit(LoopStarted(place, turn.now))
    elif node.status != "open" or turn.is_past(place):
        return
    at = f"{place}#{number}"
    try:
        goes_on = number < loop.most
        if goes_on and loop.while_ is not None:
            holds = turn.template(place, "while", loop.while_).render(look_from(turn, at))
            if not isinstance(holds, bool):
                raise ExpressionError(f"{loop.while_} is {holds!r}, neither true nor false")
            goes_on = holds
        elif not goes_on and (loop.while_ is not None or loop.until is not None):
            raise _Endless(f"still not done after {loop.most} iterations")
    except ExpressionError as error:
        kind = "loop" if isinstance(error, _Endless) else "expression"
        flow.conclude(turn, place, StepError(kind, f"loop: {error.message}"))
        return
    if goes_on:
        slots.act(turn, at, turn.step(place))
        return
    if turn.node(at).status == "waiting":
        turn.emit(StepSkipped(at, "the loop is over", turn.now))
    _done(turn, place, number)


class _Endless(ExpressionError):
    """A loop had all its iterations and is not done."""


def one_ended(turn: Turn, owner: str, number: int) -> None:
    """An iteration ended."""
    loop = turn.step(owner).loop
    node = turn.node(f"{owner}#{number}")
    whole = turn.node(owner)
    assert loop is not None
    if turn.is_past(owner):
        return
    if whole.status == "cancelling":
        flow.conclude(turn, owner, whole.error or Stopped(whole.reason))
    elif whole.status != "open":
        return
    elif node.status != "succeeded":
        stopped = Stopped(node.error.message if node.error is not None else "stopped")
        flow.conclude(turn, owner, node.error or stopped if node.status == "failed" else stopped)
    else:
        _after(turn, owner, number)


def _after(turn: Turn, owner: str, number: int) -> None:
    loop = turn.step(owner).loop
    assert loop is not None
    at = f"{owner}#{number}"
    if loop.until is not None:
        try:
            look = look_from(turn, at, {"output": turn.node(at).output})
            holds = turn.template(owner, "loop until", loop.until).render(look)
            if not isinstance(holds, bool):
                raise ExpressionError(f"{loop.until} is {holds!r}, neither true nor false")
        except ExpressionError as error:
            flow.conclude(turn, owner, StepError("expression", f"loop: {error.message}"))
            return
        if holds:
            _done(turn, owner, number + 1)
            return
    if loop.pause and number + 1 < loop.most:
        following = f"{owner}#{number + 1}"
        due = turn.now + int(loop.pause * 1_000_000)
        turn.emit(StepWaiting(following, "the pause of a loop", turn.now, due))
        turn.out(Schedule(f"wait:{following}", StepDue(following, "loop"), at=due))
    else:
        turn.later("next iteration", owner, number + 1)


def paused_enough(turn: Turn, place: str) -> None:
    """The pause before an iteration is over."""
    found = repeats(place)
    if found is not None and turn.node(place).status == "waiting":
        iterate(turn, found[0], found[2])


def _done(turn: Turn, place: str, count: int) -> None:
    last = turn.node(f"{place}#{count - 1}") if count else None
    flow.conclude(turn, place, last.output if last is not None else None)
