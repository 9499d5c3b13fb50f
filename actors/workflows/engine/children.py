"""Other workflows as steps: runs of their own, which tell how they ended."""

from __future__ import annotations

from typing import Any, cast

from actors.core.outputs import Ask, Replied, Tell, TellRefused
from actors.workflows.engine import flow, parts, stopping, undoing, work
from actors.workflows.engine.turn import Facts, Stopped, Turn
from actors.workflows.messages import CancelRun, RunEnded, StartWorkflow, StopRun
from actors.workflows.places import child_of, in_plan, part_of
from actors.workflows.plan import WorkflowAction
from events.workflows import ChildEnded, Parent, StepCancelling, StepError, StepWaiting

DEEPEST = 16
"""Workflows within workflows."""


def start(turn: Turn, place: str, action: WorkflowAction) -> None:
    """Have another workflow run. Raises ExpressionError when its inputs have no value."""
    run = turn.run
    depth = 1 + (run.parent.depth if run.parent is not None else 0)
    if depth > DEEPEST:
        flow.conclude(turn, place, StepError("depth", f"workflows within workflows, {DEEPEST} deep"))
        return
    inputs = turn.render(place, "input", action.input)
    if inputs is not None and not isinstance(inputs, dict):
        flow.conclude(turn, place, StepError("invalid", f"the inputs of a workflow are an object, not {inputs!r}"))
        return
    attempt = turn.node(place).attempt + 1
    child = child_of(turn.address, place, attempt)
    # A run that is forgotten still counts how deep it is.
    parent = Parent("" if action.mode == "forget" else turn.address, place, depth, action.on_close)
    given = cast("dict[str, Any]", inputs or {})
    by = f"{turn.address}:{place}"
    start = StartWorkflow(
        child, given, action.version, parent, run.labels, run.priority, by, requesters=run.requesters, cause=run.cause
    )
    turn.emit(StepWaiting(place, f"run {child}", turn.now, ref=f"run/{child}", attempt=attempt))
    turn.out(Ask(f"workflow/{action.workflow}", start, place))


def replied(turn: Turn, message: Replied) -> None:
    """A workflow took the run on: that is all that a step which does not wait for its end wants to know."""
    node = turn.node(message.ref)
    step = turn.index.steps.get(in_plan(message.ref))
    if step is None or node.status not in ("waiting", "cancelling") or not node.ref.startswith("run/"):
        return
    action = step.action
    if isinstance(action, WorkflowAction) and action.mode != "wait" and message.by == f"workflow/{action.workflow}":
        flow.conclude(turn, message.ref, {"run": node.ref.removeprefix("run/")})


def refused(turn: Turn, message: TellRefused) -> None:
    """Whoever was asked for something refused: there will be no other word of it."""
    place = message.ref.removeprefix("stop:")
    node = turn.node(place)
    if not message.ref or node.status not in ("waiting", "cancelling"):
        return
    if place.endswith("!undo"):
        error = StepError("refused", f"{message.by}: {message.reason}")
        undoing.part_undone(turn, RunEnded(place, "refused", error=error))
    elif part_of(place) is not None:
        parts.refused(turn, place, message)
    elif message.ref != place:
        if node.status == "cancelling":  # there is no such run any more, or there never was
            stopping.stopped(turn, place)
    elif node.status == "cancelling":
        stopping.stopped(turn, place)
    else:
        flow.conclude(turn, place, StepError("refused", f"{message.by}: {message.reason}", {"code": message.code}))


def ended(turn: Turn, message: RunEnded) -> None:
    """A child run told how it ended."""
    place = message.ref
    if part_of(place.removesuffix("!undo")) is not None:
        parts.ended(turn, message)
        return
    node = turn.node(place)
    child = turn.message.sender
    step = turn.index.steps.get(in_plan(place))
    if step is None or not isinstance(step.action, WorkflowAction):
        return
    if child == f"workflow/{step.action.workflow}":  # it never began
        child = node.ref
    turn.emit(ChildEnded(place, child, turn.now, message.status, message.outputs, message.error, message.usage))
    if node.ref != child or node.status not in ("waiting", "cancelling"):
        return
    if message.status == "succeeded":
        flow.conclude(turn, place, message.outputs)
    elif node.status == "cancelling":
        stopping.stopped(turn, place)
    elif message.status == "cancelled":
        flow.conclude(turn, place, StepError("cancelled", f"{child} was cancelled"))
    else:
        work.failed(turn, place, message.error or StepError("error", f"{child} failed"), Facts())


def stop(turn: Turn, place: str, reason: str, error: StepError | None) -> None:
    """Stop a step that waits for a child run: that is cancelled too, unless it is to go on alone."""
    child = turn.node(place).ref
    if part_of(place) is not None:
        turn.emit(StepCancelling(place, reason, turn.now, error))
        turn.out(Ask(child, CancelRun(reason, turn.address), f"stop:{place}"))
        return
    action = turn.step(place).action
    assert isinstance(action, WorkflowAction)
    if action.on_close == "abandon" or action.mode == "forget":
        flow.conclude(turn, place, error or Stopped(reason))
        return
    turn.emit(StepCancelling(place, reason, turn.now, error))
    stopping_it = StopRun(child.removeprefix("run/"), reason, turn.address)
    turn.out(Ask(f"workflow/{action.workflow}", stopping_it, f"stop:{place}"))


def close_detached(turn: Turn, reason: str) -> None:
    """The run did not succeed: what it started and did not wait for ends too, unless it is to go on alone."""
    steps = turn.index.steps
    names = {place for place, step in steps.items() if isinstance(step.action, WorkflowAction)}
    for place, node in turn.run.nodes.items() if names else ():
        action = steps[in_plan(place)].action if in_plan(place) in names else None
        if not isinstance(action, WorkflowAction) or action.mode != "detach" or action.on_close != "cancel":
            continue
        if node.status == "succeeded" and node.ref.startswith("run/"):
            child = node.ref.removeprefix("run/")
            turn.out(Tell(f"workflow/{action.workflow}", StopRun(child, reason, turn.address)))
