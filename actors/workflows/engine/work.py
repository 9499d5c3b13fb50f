"""Tasks: asked for as effects, tried again, timed out, stopped. And the slots of the run they run in."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from actors.core.outputs import Cancel, Effect, Outcome, Schedule, Tell, TellRefused
from actors.workflows.engine import closing, flow, parts
from actors.workflows.engine.turn import Facts, Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.fold import SLOT, next_in_line
from actors.workflows.messages import RunEnded, StartWorkflow, StepDue
from actors.workflows.places import in_plan, part_of, repeats
from actors.workflows.plan import Retry, Step, TaskAction, WorkflowAction
from actors.workflows.state import ENDED
from actors.workflows.tasks import TaskCall, TaskResult, effect_kind
from events.workflows import (
    ChildEnded,
    LateResult,
    Parent,
    StepError,
    StepQueued,
    StepRetrying,
    StepUnknown,
    StepWaiting,
)

DEEPEST = 16
"""Workflows within workflows."""

NEVER_AGAIN = ("cancelled", "unknown", "expression", "invalid")


def start(turn: Turn, place: str, step: Step, action: TaskAction) -> None:
    """Ask for the task, or wait for a slot of the run."""
    limit = turn.index.plan.concurrency
    if turn.run.paused:
        turn.emit(StepWaiting(place, "the run is paused", turn.now))
    elif limit is not None and turn.run.running >= limit:
        turn.emit(StepWaiting(place, SLOT, turn.now))
    else:
        call(turn, place, step, action, turn.node(place).attempt + 1)


def call(turn: Turn, place: str, step: Step, action: TaskAction, attempt: int) -> None:
    """One attempt. Raises ExpressionError when the input has no value."""
    rendered = turn.render(place, "input", action.input)
    turn.emit(StepQueued(place, action.task, attempt, turn.now, rendered, action.queue))
    times = step.timeouts
    key = f"{turn.address}/{place}"
    request = TaskCall(
        action.task, turn.address, place, attempt, key, rendered, action.queue, action.needs_labels,
        turn.run.priority if step.priority is None else step.priority, times.attempt, times.queued, times.heartbeat,
    )  # fmt: skip
    turn.out(Effect(effect_kind(action.effect_class), request, ref=f"{attempt}:{place}", key=key))


def start_child(turn: Turn, place: str, _step: Step, action: WorkflowAction) -> None:
    """Have another workflow run. Raises ExpressionError when its inputs have no value."""
    run = turn.run
    depth = 1 + (run.parent.depth if run.parent is not None else 0)
    if depth > DEEPEST:
        flow.conclude(turn, place, StepError("depth", f"workflows within workflows, {DEEPEST} deep"))
        return
    inputs: dict[str, Any] = turn.render(place, "input", action.input) or {}
    child = child_of(turn.address, place)
    parent = Parent(turn.address, place, depth, action.on_close) if action.mode != "forget" else None
    start = StartWorkflow(child, inputs, action.version, parent, run.labels, run.priority, f"{turn.address}:{place}")
    turn.emit(StepWaiting(place, f"run {child}", turn.now, ref=f"run/{child}"))
    turn.out(Tell(f"workflow/{action.workflow}", start))
    if action.mode != "wait":
        flow.conclude(turn, place, {"run": child})


def child_of(address: str, place: str) -> str:
    """The id of the run that a step starts: it names its parent as long as that fits."""
    name = f"{address.partition('/')[2]}.{place}"
    if len(name) <= 150:
        return name
    return f"{name[:110]}~{blake2b(name.encode(), digest_size=16).hexdigest()}"


def child_ended(turn: Turn, message: RunEnded) -> None:
    """A child run told how it ended."""
    if part_of(message.ref) is not None:
        parts.ended(turn, message)
        return
    place = message.ref
    node = turn.node(place)
    turn.emit(ChildEnded(place, node.ref, turn.now, message.status, message.outputs, message.error, message.usage))
    if node.status not in ("waiting", "cancelling"):
        return
    if node.status == "cancelling" or message.status == "cancelled":
        closing.cancelled(turn, place, node.reason)
    elif message.status == "succeeded":
        flow.conclude(turn, place, message.outputs)
    else:
        flow.conclude(turn, place, message.error or StepError("error", "the run failed"))


def refused(turn: Turn, message: TellRefused) -> None:
    """A workflow that a step wanted to run refused, or does not exist."""
    for place, node in list(turn.run.nodes.items()):
        if node.status == "waiting" and node.ref and message.message_type == "StartWorkflow":
            step = turn.index.steps.get(in_plan(place))
            if (
                step is not None
                and isinstance(step.action, WorkflowAction)
                and f"workflow/{step.action.workflow}" == message.by
            ):
                flow.conclude(turn, place, StepError("refused", f"{message.by}: {message.reason}"))


def came_back(turn: Turn, outcome: Outcome) -> None:
    """A task's call ended, or was found to have no known end."""
    number, _, place = outcome.ref.partition(":")
    if place.endswith("!undo"):
        closing.undo_came_back(turn, place, outcome)
        return
    node = turn.node(place)
    if int(number) != node.attempt or node.status not in ("queued", "cancelling", "unknown"):
        turn.emit(LateResult(place, turn.now, outcome.status, outcome.result, outcome.error))
        return
    if outcome.status == "unknown":
        turn.emit(StepUnknown(place, turn.now, outcome.error))
        return
    result = result_of(outcome)
    facts = Facts(node.attempt, result.started or None, result.worker, result.usage)
    if not result.kind:
        flow.conclude(turn, place, result.output, facts)
    elif node.status == "cancelling" or result.kind == "cancelled":
        closing.cancelled(turn, place, node.reason or result.message)
    else:
        failed(turn, place, StepError(result.kind, result.message, result.data), facts)


def result_of(outcome: Outcome) -> TaskResult:
    """What a performer said, however the effect ended."""
    if outcome.status == "failed":
        return TaskResult(kind="error", message=outcome.error)
    return msgspec.convert(outcome.result, TaskResult)


def failed(turn: Turn, place: str, error: StepError, facts: Facts) -> None:
    """An attempt failed: another one, or the end of it."""
    step = turn.step(place)
    attempt = turn.node(place).attempt
    retry = step.retry
    again = error.kind in retry.on if retry.on else error.kind not in NEVER_AGAIN
    if again and attempt < retry.attempts and not turn.run.closing:
        due = turn.now + pause_after(retry, attempt, f"{turn.address}/{place}")
        turn.emit(StepRetrying(place, attempt, error, turn.now, due))
        turn.out(Schedule(f"retry:{place}", StepDue(place, "retry", attempt), at=due))
        turn.later(fill, turn)
        return
    flow.conclude(turn, place, error, facts)


def pause_after(retry: Retry, attempt: int, seed: str) -> int:
    """Microseconds until the next attempt: exponential, bounded, with a jitter that is the same at every replay."""
    pause = min(retry.backoff * retry.factor ** (attempt - 1), retry.longest)
    chance = int.from_bytes(blake2b(f"{seed}#{attempt}".encode(), digest_size=4).digest()) / 0xFFFFFFFF
    return int(pause * (1 + retry.jitter * (2 * chance - 1)) * 1_000_000)


def due(turn: Turn, message: StepDue) -> None:
    """A timer of a step: the next attempt, or the end of its time."""
    place = message.step
    node = turn.node(place)
    if message.why == "retry":
        if node.status == "retrying" and node.attempt == message.attempt:
            again(turn, place)
    elif message.why == "total" and node.status not in ENDED and node.status != "pending":
        closing.stop(turn, place, "out of time", StepError("timeout", "the step took longer than its total timeout"))
    elif message.why == "grace" and node.status == "cancelling":
        closing.cancelled(turn, place, node.reason)


def again(turn: Turn, place: str) -> None:
    """Begin a task that had to wait."""
    step = turn.step(place)
    assert isinstance(step.action, TaskAction)
    try:
        start(turn, place, step, step.action)
    except ExpressionError as error:
        flow.conclude(turn, place, StepError("expression", error.message))


def fill(turn: Turn) -> None:
    """Let steps that wait for a slot of the run have those that are free."""
    limit = turn.index.plan.concurrency
    run = turn.run
    if limit is None or run.paused or run.closing:
        return
    while run.running < limit and (found := next_in_line(run)) is not None:
        ticket, place = found
        del run.backlog[ticket]
        again(turn, place)


def start_total_timeout(turn: Turn, place: str, step: Step) -> None:
    """From here on the step's time runs."""
    if step.timeouts.total is not None and turn.node(place).status == "pending":
        turn.out(Schedule(f"total:{place}", StepDue(place, "total"), after=step.timeouts.total))


def release(turn: Turn, place: str) -> None:
    """A step ended: its timers are of no use any more."""
    if repeats(place) is None and not place.endswith("!undo"):
        step = turn.index.steps.get(in_plan(place))
        if step is not None and step.timeouts.total is not None:
            turn.out(Cancel(f"total:{place}"))
