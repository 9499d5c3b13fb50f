"""Blocks of steps: groups, `catch`, `finally` and the run itself. When they end, as what, and what a failure does."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.workflows.engine import flow, slots, undoing
from actors.workflows.engine.turn import NOTHING, Facts, Stopped, Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.places import in_plan, inside, scope_of
from actors.workflows.plan import Graph
from events.workflows import ScopeClosing, ScopeOpened, StepError


def open_group(turn: Turn, place: str) -> None:
    """Begin the steps within a step."""
    turn.emit(ScopeOpened(place, "group", turn.now))
    turn.later("open block", place)


def intercept(turn: Turn, place: str, result: Any, facts: Facts = NOTHING) -> bool:
    """Whether the step goes on after its action ended: with its `catch`, its `finally`."""
    step = turn.step(place)
    if step.catch is None and step.finally_ is None:
        return False
    scopes = turn.run.scopes
    catch, last = f"{place}!catch", f"{place}!finally"
    if last in scopes:
        return False
    error = result if isinstance(result, StepError) else None
    if error is not None and step.catch is not None and catch not in scopes:
        around = scopes.get(scope_of(place))
        if (around is None or not around.closing) and (not step.catch_on or error.kind in step.catch_on):
            turn.emit(ScopeOpened(catch, "catch", turn.now, {"error": msgspec.to_builtins(error)}))
            slots.freed(turn)
            turn.later("open block", catch)
            return True
    if step.finally_ is None:
        return False
    if error is not None:
        outcome = {"status": "failed", "error": msgspec.to_builtins(error)}
    elif isinstance(result, Stopped):
        outcome = {"status": "cancelled", "error": {"kind": "cancelled", "message": result.reason}}
    else:
        outcome = {"status": "succeeded", "output": result}
    known = msgspec.to_builtins(facts)
    turn.emit(ScopeOpened(last, "finally", turn.now, {"outcome": outcome, "facts": known}))
    slots.freed(turn)
    turn.later("open block", last)
    return True


def step_failed(turn: Turn, scope_place: str, place: str, error: StepError) -> None:
    """A step of this block failed: what its policy says."""
    graph = turn.index.graphs[in_plan(scope_place)]
    scope = turn.run.scopes[scope_place]
    if scope.closing:
        return
    if graph.policy.mode == "fail_fast":
        close(turn, scope_place, f"{place} failed", "failed", error)
    elif graph.policy.mode == "k_of_n" and scope.failed > len(graph.steps) - graph.policy.count:
        close(turn, scope_place, f"{scope.failed} steps failed, {graph.policy.count} must succeed", "failed", error)


def step_succeeded(turn: Turn, scope_place: str) -> None:
    """A step of this block succeeded: that may be enough."""
    policy = turn.index.graphs[in_plan(scope_place)].policy
    if policy.mode not in ("first_success", "k_of_n"):
        return
    scope = turn.run.scopes[scope_place]
    if scope.succeeded >= wanted_of(policy) and not scope.closing and scope.left:
        close(turn, scope_place, f"{scope.succeeded} succeeded, that is enough", "enough", None)


def wanted_of(policy: Any) -> int:
    """How many steps must succeed."""
    return policy.count if policy.mode == "k_of_n" else 1


def close(turn: Turn, scope_place: str, reason: str, why: str, error: StepError | None) -> None:
    """No further step of this block begins, and those under way are stopped."""
    scope = turn.run.scopes[scope_place]
    if scope.why != "stopped":
        turn.emit(ScopeClosing(scope_place, reason, turn.now, error, why))
        for step in turn.index.graphs[in_plan(scope_place)].steps:
            place = inside(scope_place, step.name)
            if turn.under_way(place):
                turn.later("stop", place, reason)
    turn.later("check block", scope_place)


def check(turn: Turn, scope_place: str) -> None:
    """Has the block ended?"""
    scope = turn.run.scopes.get(scope_place)
    if scope is not None and (scope.left == 0 or (scope.closing and scope.active == 0)):
        turn.later("end block", scope_place)


def done(turn: Turn, scope_place: str) -> None:
    """The block ended: tell whoever opened it, once."""
    scopes = turn.run.scopes
    scope = scopes.get(scope_place)
    if scope is None or (scope.left and not scope.closing):
        return
    if scope.kind == "root":
        if turn.run.status == "running":
            undoing.finish(turn, outcome(turn, scope_place))
        return
    place = scope_place.rpartition("!")[0] if scope.kind in ("catch", "finally") else scope_place
    if turn.node(place).status != "open" or (scope.kind != "finally" and f"{place}!finally" in scopes):
        return
    if scope.kind == "group" and f"{place}!catch" in scopes:
        return
    result = outcome(turn, scope_place)
    if scope.kind == "finally":
        _finally_over(turn, place, scope.vars, result)
    elif scope.kind == "catch" and not isinstance(result, StepError | Stopped):
        flow.conclude(turn, place, result, Facts(recovered=msgspec.convert(scope.vars["error"], StepError)))
    else:
        flow.conclude(turn, place, result)


def _finally_over(turn: Turn, place: str, known: dict[str, Any], result: Any) -> None:
    """What the step gave before, unless what must happen in any case failed."""
    kept = known["outcome"]
    facts = msgspec.convert(known["facts"], Facts)
    if isinstance(result, Stopped):
        result = StepError("cancelled", result.reason)
    if isinstance(result, StepError):
        if kept["status"] != "succeeded":
            result = StepError(result.kind, result.message, {"after": kept["error"]})
        flow.settle(turn, place, result, Facts(attempt=facts.attempt, usage=facts.usage))
    elif kept["status"] == "succeeded":
        flow.settle(turn, place, kept["output"], facts)
    elif kept["status"] == "cancelled":
        flow.settle(turn, place, Stopped(kept["error"]["message"]), facts)
    else:
        flow.settle(turn, place, msgspec.convert(kept["error"], StepError), facts)


def outcome(turn: Turn, scope_place: str) -> Any:
    """What a block that ended gives: its output, a StepError or Stopped."""
    scope = turn.run.scopes[scope_place]
    graph = turn.index.graphs[in_plan(scope_place)]
    if scope.error is not None:
        return scope.error
    if scope.why == "stopped":
        return Stopped(scope.closing)
    if graph.policy.mode in ("first_success", "k_of_n"):
        wanted = wanted_of(graph.policy)
        if graph.steps and scope.succeeded < wanted:
            return StepError("error", f"{scope.succeeded} of {len(graph.steps)} steps succeeded, {wanted} must")
    elif graph.policy.mode != "continue" and scope.failed:
        failed = _first_failure(turn, scope_place, graph)
        if failed is not None:
            return failed
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
        if node.blocked and not step.optional:
            return StepError("check", f"the check {node.blocked!r} of {step.name} does not hold")
        if node.status == "failed" and not step.optional:
            return node.error or StepError("error", f"{step.name} failed")
    return None
