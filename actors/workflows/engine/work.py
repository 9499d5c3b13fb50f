"""Tasks: asked for as effects, tried again after a failure, their results taken once."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any

import msgspec

from actors.core.outputs import Cancel, Effect, Outcome, Schedule
from actors.workflows.engine import flow, gates, reuse, slots, stopping
from actors.workflows.engine.turn import Facts, Stopped, Turn
from actors.workflows.messages import StepDue
from actors.workflows.plan import Retry, Step, TaskAction
from actors.workflows.tasks import TaskCall, TaskResult, effect_kind
from events.workflows import LateResult, StepError, StepQueued, StepRetrying, StepUnknown

NEVER_AGAIN = ("cancelled", "unknown", "expression", "invalid", "depth")

LOST = 5
"""Attempts that may be lost with their worker, besides those that may fail: a task that kills its worker ends."""

_KINDS = {name: effect_kind(name) for name in ("pure", "idempotent", "keyed", "irreversible")}


def start(turn: Turn, place: str, step: Step, action: TaskAction) -> None:
    """The next attempt. Raises ExpressionError when the input has no value."""
    call(turn, place, step, action, turn.render(place, "input", action.input))


def call(turn: Turn, place: str, step: Step, action: TaskAction, input: Any) -> None:
    """Have a task performed with this input."""
    attempt = turn.node(place).attempt + 1
    turn.emit(StepQueued(place, action.task, attempt, turn.now, input, action.queue))
    times = step.timeouts
    key = f"{turn.address}/{place}"
    request = TaskCall(
        action.task, turn.address, place, attempt, key, input, action.queue, action.needs_labels,
        turn.run.priority if step.priority is None else step.priority, times.attempt, times.queued, times.heartbeat,
        turn.variables_of, turn.run.requesters, turn.run.cause,
    )  # fmt: skip
    turn.out(Effect(_KINDS[action.effect_class], request, f"{attempt}:{place}", key))


def came_back(turn: Turn, outcome: Outcome) -> None:
    """A task's call ended, or was found to have no known end."""
    number, _, place = outcome.ref.partition(":")
    node = turn.node(place)
    result = result_of(outcome)
    if int(number) != node.attempt or node.status not in ("queued", "cancelling", "unknown"):
        text = outcome.error or result.message
        turn.emit(LateResult(place, turn.now, outcome.status, result.output, text, result.usage))
        return
    facts = Facts(node.attempt, result.started or None, result.worker, result.usage)
    if outcome.status == "unknown":
        if node.status == "cancelling":
            turn.out(Cancel(f"grace:{place}"))
            reason = f"{node.reason}; nobody knows whether it did its work"
            flow.conclude(turn, place, node.error or Stopped(reason), facts)
        else:
            turn.emit(StepUnknown(place, turn.now, outcome.error))
            slots.freed(turn)
    elif not result.kind:
        if node.status == "cancelling":
            turn.out(Cancel(f"grace:{place}"))
        flow.conclude(turn, place, *reuse.made(turn, place, result.output, facts))
    elif node.status == "cancelling":
        turn.out(Cancel(f"grace:{place}"))
        flow.conclude(turn, place, node.error or Stopped(node.reason), facts)
    else:
        failed(turn, place, StepError(result.kind, result.message, result.data), facts)


def result_of(outcome: Outcome) -> TaskResult:
    """What a performer said, however the effect ended."""
    if outcome.status == "failed":
        return TaskResult(kind="error", message=outcome.error)
    if outcome.status == "unknown":
        return TaskResult()
    try:
        result = msgspec.convert(outcome.result, TaskResult)
    except msgspec.ValidationError as error:
        return TaskResult(kind="invalid", message=f"no result of a task: {error}")
    if result.usage:
        result = msgspec.structs.replace(result, usage=amounts(result.usage))
    return result


def amounts(usage: dict[str, str]) -> dict[str, str]:
    """The amounts that can be summed: what a performer says must not break the run."""
    found: dict[str, str] = {}
    for name, amount in usage.items():
        try:
            if Decimal(amount).is_finite():
                found[name] = amount
        except InvalidOperation:
            continue
    return found


def failed(turn: Turn, place: str, error: StepError, facts: Facts) -> None:
    """An attempt failed: another one, or the end of it."""
    retry = turn.step(place.removesuffix("!undo")).retry
    node = turn.node(place)
    if error.kind == "lost":
        again = node.lost < LOST
    else:
        wanted = error.kind in retry.on if retry.on else error.kind not in NEVER_AGAIN
        again = wanted and node.attempt - node.base - node.lost < retry.attempts
    if not again:
        flow.conclude(turn, place, error, facts)
        return
    gates.release(turn, place)
    due = turn.now + pause_after(retry, node.attempt - node.base, f"{turn.address}/{place}")
    turn.emit(StepRetrying(place, node.attempt, error, turn.now, due, facts.usage))
    turn.out(Schedule(f"retry:{place}", StepDue(place, "retry", node.attempt), at=due))
    slots.freed(turn)


def pause_after(retry: Retry, attempt: int, seed: str) -> int:
    """Microseconds until the next attempt: exponential, bounded, with a jitter that is the same at every replay."""
    # Whatever the factor, after a hundred attempts it has reached its longest, or never will; and no float is that big.
    pause = min(retry.backoff * min(retry.factor, 1e3) ** min(attempt - 1, 100), retry.longest)
    chance = int.from_bytes(blake2b(f"{seed}#{attempt}".encode(), digest_size=4).digest()) / 0xFFFFFFFF
    return int(pause * (1 + retry.jitter * (2 * chance - 1)) * 1_000_000)


def due(turn: Turn, message: StepDue) -> None:
    """A timer of a step: the next attempt, or the end of its time."""
    place = message.step
    node = turn.node(place)
    if message.why == "retry":
        if node.status == "retrying" and node.attempt == message.attempt:
            slots.again(turn, place)
    elif message.why == "total":
        if turn.under_way(place) and node.base == message.attempt:
            error = StepError("timeout", "the step took longer than its total timeout")
            stopping.stop(turn, place, "out of time", error)
    elif message.why == "grace" and node.status == "cancelling" and node.attempt == message.attempt:
        stopping.stopped(turn, place)
