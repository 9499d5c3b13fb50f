"""The flow: which step is ready, whether it runs, what begins, and what an end leads to."""

from __future__ import annotations

from typing import Any

from actors.workflows.engine import blocks, branches, gates, loops, maps, reuse, slots, timeouts, undoing, waits
from actors.workflows.engine.look import look_from
from actors.workflows.engine.turn import NOTHING, Facts, Stopped, Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.places import in_plan, inside, repeats, scope_of
from actors.workflows.plan import Step
from actors.workflows.state import Node
from events.workflows import StepCancelled, StepError, StepFailed, StepSkipped, StepSucceeded


def open_scope(turn: Turn, scope: str) -> None:
    """Begin the steps of a scope that need no other."""
    graph = turn.index.graphs[in_plan(scope)]
    for step in graph.steps:
        if not step.needs:
            turn.later("ready", inside(scope, step.name))
    if not graph.steps:
        turn.later("end block", scope)


def ready(turn: Turn, place: str) -> None:
    """All that the step needs has ended: run it, or skip it."""
    scope = turn.run.scopes.get(scope_of(place))
    node = turn.node(place)
    if scope is None or scope.closing or node.status != "pending":
        return
    step = turn.step(place)
    if not triggered(step, node):
        skip(turn, place, f"{step.trigger}: {node.succeeded} succeeded, {node.failed} failed, {node.skipped} skipped")
        return
    if step.needs:
        passed = branches.passed_over(turn, place, step)
        if passed:
            skip(turn, place, f"{passed} chose otherwise")
            return
    if step.when is not None:
        look = look_from(turn, place)
        try:
            template = turn.template(place, "when", step.when)
            holds = template.render(look)
            seen: dict[str, Any] = {"expression": step.when, "inputs": branches.shown(template.inputs(look))}
        except ExpressionError as error:
            conclude(turn, place, StepError("expression", f"when: {error.message}"))
            return
        if not isinstance(holds, bool):
            conclude(turn, place, StepError("expression", f"when: {step.when} is {holds!r}, neither true nor false"))
            return
        if not holds:
            seen["value"] = holds
            skip(turn, place, "its condition does not hold", seen)
            return
    begin(turn, place)


def triggered(step: Step, node: Node) -> bool:
    """Whether enough of what the step needs came true. Only asked once all of it has ended."""
    needed = len(step.needs)
    match step.trigger:
        case "all_success":
            return node.succeeded == needed
        case "all_failed":
            return node.failed == needed
        case "one_success":
            return node.succeeded > 0 or not needed
        case "one_failed":
            return node.failed > 0
        case "none_failed":
            return node.failed == 0
        case "none_skipped":
            return node.skipped == 0
        case _:  # all_done
            return True


def skip(turn: Turn, place: str, reason: str, decision: Any = None) -> None:
    """The step does not run."""
    turn.emit(StepSkipped(place, reason, turn.now, decision))
    turn.later("ended", place)


def begin(turn: Turn, place: str) -> None:
    """Run what is at a place: a step, an item of it, or an iteration."""
    step = turn.step(place)
    repeated = repeats(place)
    if repeated is None:
        timeouts.total_begins(turn, place, step)
    if step.each is not None and repeated is None:
        maps.expand(turn, place, step)
    elif step.loop is not None and (repeated is None or repeated[1] == "item"):
        loops.iterate(turn, place, 0)
    else:
        slots.act(turn, place, step)


def conclude(turn: Turn, place: str, result: Any, facts: Facts = NOTHING) -> None:
    """The action at a place came to an end: a value, a StepError or Stopped. What the step says of it comes first.

    An item or an iteration just ends. A step that failed may have a `catch`, any step a `finally`.
    """
    gates.release(turn, place)
    waits.forget(turn, place)
    if turn.run.part is not None and place == turn.run.part.place:
        undoing.finish(turn, result)
        return
    if place.endswith("!undo"):
        undoing.settle(turn, place, result, facts)
        return
    if repeats(place) is None and blocks.intercept(turn, place, result, facts):
        return
    settle(turn, place, result, facts)


def settle(turn: Turn, place: str, result: Any, facts: Facts = NOTHING) -> None:
    """Record the end of a step for good."""
    attempt = facts.attempt or max(turn.node(place).attempt, 1)
    result, facts = reuse.whole(turn, place, result, facts)
    if result.__class__ is StepError:
        turn.emit(StepFailed(place, turn.now, result, attempt, facts.started, facts.worker, facts.usage))
    elif result.__class__ is Stopped:
        turn.emit(StepCancelled(place, result.reason, turn.now, attempt, facts.usage))
    else:
        turn.emit(
            StepSucceeded(
                place, turn.now, None if facts.collected is not None else result, attempt, facts.started, facts.worker,
                facts.usage, facts.cached, facts.collected, facts.recovered,
                facts.blocked,
            )
        )  # fmt: skip
    turn.later("ended", place)


def ended(turn: Turn, place: str) -> None:
    """A step, item or iteration ended: go on with what waited for it."""
    slots.freed(turn)  # those in line come before those that only become ready now
    repeated = repeats(place)
    if repeated is None:
        timeouts.total_is_over(turn, place)
        _step_ended(turn, place)
    elif repeated[1] == "item":
        turn.later("check map", repeated[0])
    else:
        loops.one_ended(turn, repeated[0], repeated[2])


def _step_ended(turn: Turn, place: str) -> None:
    where = scope_of(place)
    scope = turn.run.scopes.get(where)
    if scope is None:  # before the run opened: a recorded result
        return
    node = turn.node(place)
    step = turn.step(place)
    if node.status == "failed":
        if not step.optional:
            blocks.step_failed(turn, where, place, node.error or StepError("error", "failed"))
    elif node.status == "succeeded" and not node.blocked:
        blocks.step_succeeded(turn, where)
    if not turn.run.scopes[where].closing:
        for name in step.dependents:
            dependent = inside(where, name)
            if turn.node(dependent).left == 0:
                turn.later("ready", dependent)
    blocks.check(turn, where)
