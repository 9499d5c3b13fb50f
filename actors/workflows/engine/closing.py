"""The end: stopping what is under way, undoing what was done, and the run's own end."""

from __future__ import annotations

from typing import Any

from actors.approval import Withdraw
from actors.core.outputs import Cancel, Effect, Outcome, Schedule, Tell
from actors.workflows.engine import blocks, flow, work
from actors.workflows.engine.turn import Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.messages import CancelRun, RunEnded, RunOver, StepDue, StopRun
from actors.workflows.places import in_plan, part_of, repeats, step_of
from actors.workflows.plan import WorkflowAction
from actors.workflows.state import ENDED
from actors.workflows.tasks import CANCEL, CancelCall, TaskCall, effect_kind
from events.workflows import (
    RunClosing,
    RunFinished,
    StepCancelled,
    StepCancelling,
    StepError,
    StepFailed,
    StepQueued,
    StepSucceeded,
)


def close_run(turn: Turn, status: str, reason: str, by: str = "", error: StepError | None = None) -> None:
    """The run will end as `status`: nothing new begins, what is under way is stopped."""
    if turn.run.closing or turn.run.status != "running":
        return
    turn.emit(RunClosing(status, reason, by, error))
    stop_within(turn, "", reason)
    turn.later(blocks.check, turn, "")


def stop_within(turn: Turn, scope: str, reason: str) -> None:
    """Stop every step of a scope that is under way, innermost work first to hear of it."""
    prefix = f"{scope}/" if scope else ""
    for place, node in list(turn.run.nodes.items()):
        if place.startswith(prefix) and flow.is_under_way(node) and node.status != "cancelling":
            if "!finally/" in place[len(prefix) :]:
                continue  # what must happen in any case goes on
            stop(turn, place, reason)


def stop(turn: Turn, place: str, reason: str, error: StepError | None = None) -> None:
    """Stop one step: at once if nobody works on it, else when the performer says so or its grace is over."""
    node = turn.node(place)
    match node.status:
        case "queued":
            grace = turn.index.plan.grace
            turn.emit(StepCancelling(place, reason, turn.now))
            turn.out(Effect(CANCEL, CancelCall(turn.address, place, node.attempt, grace)))
            turn.out(Schedule(f"grace:{place}", StepDue(place, "grace"), after=grace + 5))
        case "waiting" if node.ref.startswith("run/"):
            _stop_child(turn, place, node.ref, reason)
        case "waiting" | "retrying":
            if node.ref.startswith("approval/"):
                turn.out(Tell(node.ref, Withdraw(reason)))
            turn.out(Cancel(f"{'retry' if node.status == 'retrying' else 'wait'}:{place}"))
            if error is not None:
                flow.conclude(turn, place, error)
            else:
                cancelled(turn, place, reason)
        case "open":
            if place in turn.run.scopes and not turn.run.scopes[place].closing:
                blocks.close(turn, place, reason, error or StepError("cancelled", reason))
            else:
                stop_repeated(turn, place, reason, error)
        case _:
            pass


def _stop_child(turn: Turn, place: str, child: str, reason: str) -> None:
    """A child run: it is cancelled too, unless it is to go on alone."""
    action = turn.step(place.partition("%")[0]).action
    if isinstance(action, WorkflowAction) and action.on_close == "abandon":
        cancelled(turn, place, reason)
        return
    turn.emit(StepCancelling(place, reason, turn.now))
    if isinstance(action, WorkflowAction):
        # On the way it came, so that it is there before it is stopped; it may still wait for its turn.
        stop_it = StopRun(child.partition("/")[2], reason, turn.address)
        turn.out(Tell(f"workflow/{action.workflow}", stop_it))
    else:
        turn.out(Tell(child, CancelRun(reason, turn.address)))


def stop_repeated(turn: Turn, place: str, reason: str, error: StepError | None = None) -> None:
    """A map or a loop: its items stop one by one."""
    for inner, node in list(turn.run.nodes.items()):
        found = repeats(inner) or part_of(inner)
        if found is not None and found[0] == place and flow.is_under_way(node) and node.status != "cancelling":
            stop(turn, inner, reason, error)


def cancelled(turn: Turn, place: str, reason: str) -> None:
    """A step was stopped; its `finally` still runs."""
    turn.out(Cancel(f"grace:{place}"))
    plain = repeats(place) is None and not place.endswith("!undo")
    if plain and blocks.intercept(turn, place, StepError("cancelled", reason)):
        return
    turn.emit(StepCancelled(place, reason, turn.now, max(turn.node(place).attempt, 1)))
    turn.later(flow.ended, turn, place)


# -- undoing


def finish(turn: Turn, result: Any) -> None:
    """All steps of the run ended. A run that did not succeed undoes what it did, in reverse order, before it ends."""
    run = turn.run
    if run.status != "running":
        return
    error = result if isinstance(result, StepError) else None
    if run.closing:
        status, error = run.closing, run.error or error
    else:
        status = "failed" if error is not None else "succeeded"
    if status != "succeeded":
        if not run.closing:
            turn.emit(RunClosing(status, "a step failed", error=error))
        if undo_next(turn):
            return
    outputs = result if status == "succeeded" else None
    turn.emit(RunFinished(status, turn.now, outputs, error, run.usage))
    turn.out(Cancel("run"))
    if run.reports_to:
        turn.out(Tell(run.reports_to, RunOver(turn.address.partition("/")[2], status)))
    if run.parent is not None:
        bad = turn.node(run.part.place).bad if run.part is not None else 0
        turn.out(Tell(run.parent.address, RunEnded(run.parent.ref, status, outputs, error, run.usage, bad)))


def undo_next(turn: Turn) -> bool:
    """Undo the step that succeeded last and has not been undone, one at a time; False when there is none."""
    steps = turn.index.steps
    last, order = "", 0
    for place, node in turn.run.nodes.items():
        if place.endswith("!undo") and flow.is_under_way(node):
            return True
        if node.status == "succeeded" and node.order > order and step_of(place) == place:
            step = steps.get(in_plan(place))
            if step is not None and step.undo is not None and turn.node(f"{place}!undo").status == "pending":
                last, order = place, node.order
    if not last:
        return False
    undo = steps[in_plan(last)].undo
    assert undo is not None
    place = f"{last}!undo"
    try:
        rendered = turn.render(last, "undo", undo.input)
    except ExpressionError as error:
        flow.fail(turn, place, StepError("expression", error.message))
        return True
    turn.emit(StepQueued(place, undo.task, 1, turn.now, rendered, undo.queue))
    key = f"{turn.address}/{place}"
    request = TaskCall(undo.task, turn.address, place, 1, key, rendered, undo.queue, undo.needs_labels)
    turn.out(Effect(effect_kind(undo.effect_class), request, ref=f"1:{place}", key=key))
    return True


def undo_came_back(turn: Turn, place: str, outcome: Outcome) -> None:
    """One step was undone, or could not be."""
    if turn.node(place).status in ENDED:
        return
    result = work.result_of(outcome)
    step = turn.step(place.removesuffix("!undo"))
    attempt = turn.node(place).attempt
    if outcome.status == "unknown":
        turn.emit(StepFailed(place, turn.now, StepError("unknown", outcome.error), attempt))
    elif not result.kind:
        turn.emit(StepSucceeded(place, turn.now, result.output, attempt))
    elif attempt < step.retry.attempts:
        undo = step.undo
        assert undo is not None
        rendered = turn.render(place.removesuffix("!undo"), "undo", undo.input)
        turn.emit(StepQueued(place, undo.task, attempt + 1, turn.now, rendered, undo.queue))
        key = f"{turn.address}/{place}"
        request = TaskCall(undo.task, turn.address, place, attempt + 1, key, rendered, undo.queue, undo.needs_labels)
        turn.out(Effect(effect_kind(undo.effect_class), request, ref=f"{attempt + 1}:{place}", key=key))
        return
    else:
        turn.emit(StepFailed(place, turn.now, StepError(result.kind, result.message, result.data), attempt))
    turn.later(flow.ended, turn, place)


def undone(turn: Turn, _place: str) -> None:
    """Go on with the next step to undo, or end."""
    if not undo_next(turn):
        finish(turn, turn.run.error or StepError("error", "failed"))
