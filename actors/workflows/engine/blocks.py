"""Blocks of steps: groups, `catch`, `finally` and the run itself. When they end, as what, and what a failure does."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.workflows.engine import closing, flow
from actors.workflows.engine.turn import NOTHING, Facts, Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.places import in_plan, inside
from actors.workflows.plan import Graph
from events.workflows import ScopeClosing, ScopeOpened, StepError


def open_group(turn: Turn, place: str) -> None:
    """Begin the steps within a step."""
    turn.emit(ScopeOpened(place, "group", turn.now))
    flow.open_scope(turn, place)


def intercept(turn: Turn, place: str, result: Any, facts: Facts = NOTHING) -> bool:
    """Whether the step goes on after its action ended: with its `catch`, its `finally`."""
    step = turn.step(place)
    catch = f"{place}!catch"
    error = result if isinstance(result, StepError) else None
    if (
        error is not None
        and step.catch is not None
        and catch not in turn.run.scopes
        and not turn.run.closing
        and error.kind != "cancelled"
        and (not step.catch_on or error.kind in step.catch_on)
    ):
        turn.emit(ScopeOpened(catch, "catch", turn.now, {"error": msgspec.to_builtins(error)}))
        flow.open_scope(turn, catch)
        return True
    last = f"{place}!finally"
    if step.finally_ is not None and last not in turn.run.scopes:
        outcome: dict[str, Any] = {"status": "succeeded", "output": result}
        if error is not None:
            status = "cancelled" if error.kind == "cancelled" else "failed"
            outcome = {"status": status, "error": msgspec.to_builtins(error)}
        known = msgspec.to_builtins(facts)
        turn.emit(ScopeOpened(last, "finally", turn.now, {"outcome": outcome, "facts": known}))
        flow.open_scope(turn, last)
        return True
    return False


def step_failed(turn: Turn, scope_place: str, place: str, error: StepError) -> None:
    """A step of this block failed: what its policy says."""
    graph = turn.index.graphs[in_plan(scope_place)]
    scope = turn.run.scopes[scope_place]
    if scope.closing:
        return
    if graph.policy.mode == "fail_fast":
        close(turn, scope_place, f"{place} failed", error)
    elif graph.policy.mode == "k_of_n" and scope.failed > len(graph.steps) - graph.policy.count:
        close(turn, scope_place, f"{scope.failed} steps failed, {graph.policy.count} must succeed", error)


def step_succeeded(turn: Turn, scope_place: str) -> None:
    """A step of this block succeeded: that may be enough."""
    graph = turn.index.graphs[in_plan(scope_place)]
    scope = turn.run.scopes[scope_place]
    wanted = {"first_success": 1, "k_of_n": graph.policy.count}.get(graph.policy.mode)
    if wanted is not None and scope.succeeded >= wanted and not scope.closing and scope.left:
        close(turn, scope_place, f"{scope.succeeded} succeeded, that is enough", None)


def close(turn: Turn, scope_place: str, reason: str, error: StepError | None) -> None:
    """No further step of this block begins, and those under way are stopped."""
    turn.emit(ScopeClosing(scope_place, reason, turn.now, error))
    closing.stop_within(turn, scope_place, reason)
    turn.later(check, turn, scope_place)


def check(turn: Turn, scope_place: str) -> None:
    """Has the block ended?"""
    scope = turn.run.scopes.get(scope_place)
    if scope is None:
        return
    if scope.left == 0 or ((scope.closing or turn.run.closing) and scope.active == 0):
        turn.later(done, turn, scope_place)


def done(turn: Turn, scope_place: str) -> None:
    """The block ended: tell whoever opened it."""
    scope = turn.run.scopes.get(scope_place)
    if scope is None or (scope.kind != "root" and turn.node(_opener(scope_place, scope.kind)).status != "open"):
        return
    result = outcome(turn, scope_place)
    place = _opener(scope_place, scope.kind)
    match scope.kind:
        case "root":
            closing.finish(turn, result)
        case "catch":
            error = msgspec.convert(scope.vars["error"], StepError)
            if isinstance(result, StepError):
                flow.conclude(turn, place, result)
            else:
                flow.conclude(turn, place, result, Facts(recovered=error))
        case "finally":
            kept = scope.vars["outcome"]
            facts = msgspec.convert(scope.vars["facts"], Facts)
            if isinstance(result, StepError):
                flow.settle(turn, place, result)
            elif kept["status"] == "succeeded":
                flow.settle(turn, place, kept["output"], facts)
            elif kept["status"] == "cancelled":
                closing.cancelled(turn, place, kept["error"]["message"])
            else:
                flow.settle(turn, place, msgspec.convert(kept["error"], StepError), facts)
        case _:
            flow.conclude(turn, place, result)


def _opener(scope_place: str, kind: str) -> str:
    return scope_place.rpartition("!")[0] if kind in ("catch", "finally") else scope_place


def outcome(turn: Turn, scope_place: str) -> Any:
    """What a block that ended gives: its output, or a StepError."""
    run = turn.run
    scope = run.scopes[scope_place]
    graph = turn.index.graphs[in_plan(scope_place)]
    if run.closing:
        return StepError("cancelled", "the run is closing")
    if scope.error is not None:
        return scope.error
    if graph.policy.mode in ("first_success", "k_of_n"):
        wanted = graph.policy.count if graph.policy.mode == "k_of_n" else 1
        if graph.steps and scope.succeeded < wanted:
            return StepError("error", f"{scope.succeeded} of {len(graph.steps)} steps succeeded, {wanted} must")
    elif graph.policy.mode != "continue" and scope.failed and not scope.closing:
        failed = _first_failure(turn, scope_place, graph)
        if failed is not None:
            return failed
    if scope.closing and scope.left and graph.policy.mode not in ("first_success", "k_of_n"):
        return StepError("cancelled", scope.closing)
    try:
        if graph.output is not None:
            return turn.render(f"{scope_place}/", "output", graph.output)
    except ExpressionError as error:
        return StepError("expression", f"output: {error.message}")
    if scope.kind == "root":
        return {}
    nodes = ((step.name, turn.node(inside(scope_place, step.name))) for step in graph.steps)
    return {name: node.output for name, node in nodes if node.status == "succeeded"}


def _first_failure(turn: Turn, scope_place: str, graph: Graph) -> StepError | None:
    for step in graph.steps:
        node = turn.node(inside(scope_place, step.name))
        if node.status == "failed" and not step.optional:
            return node.error or StepError("error", f"{step.name} failed")
    return None
