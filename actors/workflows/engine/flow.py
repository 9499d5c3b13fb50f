"""The flow: which step is ready, whether it runs, what begins, and what an end leads to."""

from __future__ import annotations

from typing import Any

from actors.workflows.engine import blocks, branches, closing, repeat, waits, work
from actors.workflows.engine.look import look_from
from actors.workflows.engine.turn import NOTHING, Facts, Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.places import in_plan, inside, name_of, repeats, scope_of
from actors.workflows.plan import (
    ApprovalAction,
    GroupAction,
    Step,
    SwitchAction,
    TaskAction,
    ValueAction,
    WaitAction,
    WorkflowAction,
)
from actors.workflows.state import ENDED, Node
from events.workflows import StepError, StepFailed, StepSkipped, StepSucceeded


def open_scope(turn: Turn, scope: str) -> None:
    """Begin the steps of a scope that need no other."""
    graph = turn.index.graphs[in_plan(scope)]
    if not graph.steps:
        turn.later(blocks.done, turn, scope)
    for step in graph.steps:
        if not step.needs:
            turn.later(ready, turn, inside(scope, step.name))


def ready(turn: Turn, place: str) -> None:
    """All that the step needs has ended: run it, or skip it."""
    run = turn.run
    scope = run.scopes.get(scope_of(place))
    node = turn.node(place)
    if scope is None or scope.closing or run.closing or node.status != "pending":
        return
    step = turn.step(place)
    if not triggered(step, node):
        skip(turn, place, f"{step.trigger}: {node.succeeded} succeeded, {node.failed} failed, {node.skipped} skipped")
        return
    passed = branches.passed_over(turn, place, step)
    if passed:
        skip(turn, place, f"{passed} chose otherwise")
        return
    if step.when is not None:
        template = turn.template(place, "when", step.when)
        look = look_from(turn, place)
        try:
            holds = template.render(look)
            seen: dict[str, Any] = {"expression": step.when, "inputs": branches.shown(template.inputs(look))}
        except ExpressionError as error:
            fail(turn, place, StepError("expression", f"when: {error.message}"))
            return
        if holds is not True:
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
    turn.later(ended, turn, place)


def begin(turn: Turn, place: str) -> None:
    """Run what is at a place: a step, an item of it, or an iteration."""
    step = turn.step(place)
    repeated = repeats(place)
    if repeated is None:
        work.start_total_timeout(turn, place, step)
    if step.each is not None and repeated is None:
        repeat.expand(turn, place, step)
    elif step.loop is not None and (repeated is None or repeated[1] == "item"):
        repeat.iterate(turn, place, step, 0)
    else:
        act(turn, place, step)


def act(turn: Turn, place: str, step: Step) -> None:
    """Perform the action itself."""
    action = step.action
    try:
        if isinstance(action, TaskAction):
            work.start(turn, place, step, action)
        elif isinstance(action, ValueAction):
            conclude(turn, place, turn.render(place, "value", action.value))
        elif isinstance(action, GroupAction):
            blocks.open_group(turn, place)
        elif isinstance(action, SwitchAction):
            branches.choose(turn, place, action)
        elif isinstance(action, WaitAction):
            waits.start(turn, place, action)
        elif isinstance(action, ApprovalAction):
            waits.ask(turn, place, action)
        else:
            assert isinstance(action, WorkflowAction)
            work.start_child(turn, place, step, action)
    except ExpressionError as error:
        conclude(turn, place, StepError("expression", error.message))


def conclude(turn: Turn, place: str, result: Any, facts: Facts = NOTHING) -> None:
    """The action at a place came to an end: a result, or a StepError. What the step says of it comes first.

    An item or an iteration just ends. A step that failed may have a `catch`, any step a `finally`.
    """
    if turn.run.part is not None and place == turn.run.part.place:
        closing.finish(turn, result)
        return
    if repeats(place) is None and blocks.intercept(turn, place, result, facts):
        return
    settle(turn, place, result, facts)


def settle(turn: Turn, place: str, result: Any, facts: Facts = NOTHING) -> None:
    """Record the end of a step for good."""
    if isinstance(result, StepError):
        fail(turn, place, result, facts)
        return
    attempt = facts.attempt or max(turn.node(place).attempt, 1)
    turn.emit(
        StepSucceeded(
            place,
            turn.now,
            None if facts.collected is not None else result,
            attempt,
            facts.started,
            facts.worker,
            facts.usage,
            facts.cached,
            facts.collected,
            facts.recovered,
        )
    )
    turn.later(ended, turn, place)


def fail(turn: Turn, place: str, error: StepError, facts: Facts = NOTHING) -> None:
    """Record that a step failed for good."""
    attempt = facts.attempt or max(turn.node(place).attempt, 1)
    turn.emit(StepFailed(place, turn.now, error, attempt, facts.started, facts.worker, facts.usage))
    turn.later(ended, turn, place)


def ended(turn: Turn, place: str) -> None:
    """A step, item or iteration ended: go on with what waited for it."""
    work.release(turn, place)
    repeated = repeats(place)
    if repeated is not None:
        repeat.one_ended(turn, *repeated)
    elif place.endswith("!undo"):
        closing.undone(turn, place)
    else:
        _step_ended(turn, place)
    turn.later(work.fill, turn)


def _step_ended(turn: Turn, place: str) -> None:
    scope_place = scope_of(place)
    node = turn.node(place)
    step = turn.step(place)
    if node.status == "failed" and not step.optional:
        blocks.step_failed(turn, scope_place, place, node.error or StepError("error", "failed"))
    elif node.status == "succeeded":
        blocks.step_succeeded(turn, scope_place)
    scope = turn.run.scopes[scope_place]
    if not scope.closing and not turn.run.closing:
        for name in step.dependents:
            dependent = inside(scope_place, name)
            if turn.node(dependent).left == 0:
                turn.later(ready, turn, dependent)
    turn.later(blocks.check, turn, scope_place)


def is_under_way(node: Node) -> bool:
    """Whether a step began and has not ended."""
    return node.status != "pending" and node.status not in ENDED


__all__ = ["act", "begin", "conclude", "ended", "fail", "name_of", "open_scope", "ready", "settle", "skip"]
