"""The end of a run; and before it, if it did not succeed, undoing what was done, in reverse order, one at a time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from actors.core.outputs import Ask, Cancel, Tell
from actors.workflows.engine import children, work
from actors.workflows.engine.turn import Facts, Stopped, Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.messages import RunEnded, RunOver, UndoRun
from actors.workflows.places import part_of
from events.workflows import RunClosing, RunFinished, StepError, StepFailed, StepSucceeded, StepWaiting


def finish(turn: Turn, result: Any) -> None:
    """All steps of the run ended."""
    run = turn.run
    if run.status != "running":
        return
    if isinstance(result, StepError | Stopped) and not run.closing:
        error = result if isinstance(result, StepError) else StepError("cancelled", result.reason)
        turn.emit(RunClosing("failed", "a step failed", error=error))
    if run.closing:
        children.close_detached(turn, "the run around it did not succeed")
        go_on(turn)
    else:
        _end(turn, "succeeded", result)


def go_on(turn: Turn, _place: str = "") -> None:
    """Undo the step that succeeded last and has not been undone; when there is none, the run ends."""
    run = turn.run
    if run.status != "running" or not run.closing:
        return
    if not run.undoable:
        _end(turn, run.closing, None)
        return
    place = f"{run.undos[str(run.undoable - 1)]}!undo"
    if not turn.under_way(place):
        call(turn, place)


def call(turn: Turn, place: str) -> None:
    """Undo one step, or the items of one part."""
    done = place.removesuffix("!undo")
    if part_of(done) is not None:
        attempt = turn.node(place).attempt + 1
        child = turn.node(done).ref
        turn.emit(StepWaiting(place, f"run {child[4:]} is undone", turn.now, ref=child, attempt=attempt))
        turn.out(Ask(child, UndoRun("the run around it did not succeed"), place))
        return
    step = turn.step(done)
    undo = step.undo
    assert undo is not None
    try:
        work.call(turn, place, step, undo, turn.render(done, "undo", undo.input))
    except ExpressionError as error:
        settle(turn, place, StepError("expression", error.message))


def settle(turn: Turn, place: str, result: Any, facts: Facts | None = None) -> None:
    """One step was undone, or could not be: the others are undone all the same."""
    facts = facts or Facts()
    attempt = facts.attempt or max(turn.node(place).attempt, 1)
    if isinstance(result, Stopped):
        result = StepError("cancelled", result.reason)
    if isinstance(result, StepError):
        turn.emit(StepFailed(place, turn.now, result, attempt, facts.started, facts.worker, facts.usage))
    else:
        turn.emit(StepSucceeded(place, turn.now, result, attempt, facts.started, facts.worker, facts.usage))
    turn.later("undo", place)


def part_undone(turn: Turn, message: RunEnded) -> None:
    """The items of a part were undone."""
    if turn.node(message.ref).status == "waiting":
        facts = Facts(usage=message.usage)
        settle(turn, message.ref, message.error if message.status == "refused" else None, facts)


def undo_run(turn: Turn, message: UndoRun) -> None:
    """A part is to undo what its items did."""
    turn.emit(RunClosing("failed", message.reason))
    go_on(turn)


def _end(turn: Turn, status: str, outputs: Any) -> None:
    run = turn.run
    before = run.finished_at  # of a part that succeeded, and is undone now
    usage = {name: _less(amount, run.told.get(name, "0")) for name, amount in run.usage.items()}
    usage = {name: amount for name, amount in usage.items() if Decimal(amount)}
    error = run.error
    if status != "succeeded" and error is None:
        error = StepError("cancelled", "the run was cancelled")
    turn.emit(RunFinished(status, turn.now, outputs, error, run.usage))
    turn.out(Cancel("run"))
    if run.reports_to:
        turn.out(Tell(run.reports_to, RunOver(turn.address.partition("/")[2], status)))
    if run.parent is not None and run.parent.address:
        ref = f"{run.parent.ref}!undo" if before else run.parent.ref
        bad = turn.node(run.part.place).bad if run.part is not None else 0
        turn.out(Tell(run.parent.address, RunEnded(ref, status, outputs, error, usage, bad)))


def _less(amount: str, told: str) -> str:
    return str(Decimal(amount) - Decimal(told))
