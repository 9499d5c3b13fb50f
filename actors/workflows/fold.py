"""What each event makes of a run. Total, pure, and as dear as what the event touches."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, cast

import msgspec
from msgspec.structs import replace

from actors.agents.variables import evolve as evolve_variables
from actors.workflows.index import digest_of, index_of
from actors.workflows.moves import SLOT, end, gathered, move, node_at, stand_in_line
from actors.workflows.places import in_plan, part_of
from actors.workflows.renewal import retried
from actors.workflows.state import ENDED, Items, Part, Run, Scope
from events import workflows as ev
from events.address import is_address
from events.agents import VariableDeclared, VariableRemoved, VariableSet


def evolve(run: Run, event: Any) -> Run:
    """Apply one event."""
    _FOLDS[event.__class__](run, event)
    return run


# -- the run


def _started(run: Run, e: ev.RunStarted) -> None:
    run.status = "running"
    run.workflow, run.version, run.definition = e.workflow, e.version, e.definition
    run.inputs, run.parent, run.labels, run.priority = e.inputs, e.parent, e.labels, e.priority
    run.started_at = e.at
    run.reports_to = e.reports_to
    starter = [e.by] if e.by and not is_address(e.by) else []
    run.cause = e.cause
    run.requesters = list(dict.fromkeys([*starter, *e.requesters]))
    run.part = msgspec.convert(e.part, Part) if e.part is not None else None


def _planned(run: Run, e: ev.RunPlanned) -> None:
    run.plan, run.digest = e.plan, digest_of(bytes(e.plan))
    if run.part is None:
        run.scopes[""] = Scope("root", len(index_of(run).plan.root.steps))


def _paused(run: Run, _e: ev.RunPaused) -> None:
    run.paused = True


def _unpaused(run: Run, _e: ev.RunUnpaused) -> None:
    run.paused = False


def _closing(run: Run, e: ev.RunClosing) -> None:
    run.closing = e.status
    run.error = e.error or run.error
    run.status = "running"  # a part that ended, and is undone now


def _finished(run: Run, e: ev.RunFinished) -> None:
    run.status, run.finished_at, run.paused = e.status, e.at, False
    run.outputs, run.error, run.told = e.outputs, e.error, run.usage


def _deferred(run: Run, e: ev.RunDeferred) -> None:
    run.deferred = e.todo


# -- steps


def _queued(run: Run, e: ev.StepQueued) -> None:
    move(run, e.step, e.at, "queued", 1, attempt=e.attempt, reason="", ref="")


def _waiting(run: Run, e: ev.StepWaiting) -> None:
    ref = stand_in_line(run, e.step) if e.reason == SLOT else e.ref
    attempt = e.attempt or node_at(run, e.step).attempt
    passed = e.passed or node_at(run, e.step).passed
    move(run, e.step, e.at, "waiting", e.slots, reason=e.reason, ref=ref, attempt=attempt, passed=passed)


def _retrying(run: Run, e: ev.StepRetrying) -> None:
    lost = node_at(run, e.step).lost + (e.error.kind == "lost")
    move(run, e.step, e.at, "retrying", error=e.error, attempt=e.attempt, lost=lost, reason="", ref="", passed="")
    _spend(run, e.usage)


def _cancelling(run: Run, e: ev.StepCancelling) -> None:
    move(run, e.step, e.at, "cancelling", node_at(run, e.step).slots, reason=e.reason, error=e.error)


def _unknown(run: Run, e: ev.StepUnknown) -> None:
    move(run, e.step, e.at, "unknown", reason=e.reason)


def _branch(run: Run, e: ev.BranchTaken) -> None:
    run.nodes[e.step] = replace(node_at(run, e.step), chosen=tuple(e.chosen))


def _succeeded(run: Run, e: ev.StepSucceeded) -> None:
    output = e.output if e.collected is None else gathered(run, e.step, e.collected)
    end(run, e.step, e.at, "succeeded", output=output, error=e.recovered, attempt=e.attempt, blocked=e.blocked)
    if e.usage:
        _spend(run, e.usage)


def _failed(run: Run, e: ev.StepFailed) -> None:
    end(run, e.step, e.at, "failed", error=e.error, attempt=e.attempt)
    _spend(run, e.usage)


def _skipped(run: Run, e: ev.StepSkipped) -> None:
    end(run, e.step, e.at, "skipped")


def _cancelled(run: Run, e: ev.StepCancelled) -> None:
    end(run, e.step, e.at, "cancelled", error=ev.StepError("cancelled", e.reason))
    _spend(run, e.usage)


def _nothing(_run: Run, _e: Any) -> None:
    """For those who follow the log."""


def _late(run: Run, e: ev.LateResult) -> None:
    _spend(run, e.usage)


def _spend(run: Run, usage: dict[str, str]) -> None:
    if usage:
        run.usage = dict(run.usage)
        for name, amount in usage.items():
            run.usage[name] = str(Decimal(run.usage.get(name, "0")) + Decimal(amount))


def _variable(run: Run, e: VariableDeclared | VariableSet | VariableRemoved) -> None:
    run.variables = evolve_variables(run.variables, e)


# -- structure


def _scope_opened(run: Run, e: ev.ScopeOpened) -> None:
    run.scopes[e.scope] = Scope(e.kind, len(index_of(run).graphs[in_plan(e.scope)].steps), vars=e.vars)
    place = e.scope.rpartition("!")[0] if e.kind in ("catch", "finally") else e.scope
    move(run, place, e.at, "open", reason="", ref="")


def _scope_closing(run: Run, e: ev.ScopeClosing) -> None:
    scope = run.scopes[e.scope]
    error = e.error if e.why == "stopped" else scope.error or e.error
    run.scopes[e.scope] = replace(scope, closing=scope.closing or e.reason, why=e.why, error=error)


def _expanded(run: Run, e: ev.MapExpanded) -> None:
    parts = len(e.children)
    held = Items(e.items, e.keys)
    if not parts:
        run.inline += e.count
    move(run, e.step, e.at, "open", count=e.count, parts=parts, held=held)


def _loop_started(run: Run, e: ev.LoopStarted) -> None:
    move(run, e.step, e.at, "open")


def _child_ended(run: Run, e: ev.ChildEnded) -> None:
    _spend(run, e.usage)
    node = node_at(run, e.step)
    found = part_of(e.step)
    if found is None:
        if node.status in ENDED and node.ref == e.child:
            run.nodes[e.step] = replace(node, ref="")  # a detached run that needs no closing any more
        return
    # A child run handled some of the items of a map.
    output: Any = e.output
    size = len(cast("list[Any]", output)) if isinstance(output, list) else 0
    run.running -= node.slots
    run.nodes[e.step] = replace(
        node, status=e.status, output=output, error=e.error, since=e.at, slots=0, reason="", bad=e.bad
    )
    if e.status == "succeeded" and index_of(run).undoes(in_plan(found[0])):
        run.undos[str(run.undoable)] = e.step
        run.undoable += 1
    whole = node_at(run, found[0])
    run.nodes[found[0]] = replace(whole, done=whole.done + size, bad=whole.bad + e.bad)


_FOLDS: Final[dict[type[Any], Callable[[Run, Any], None]]] = {
    ev.RunStarted: _started,
    ev.RunPlanned: _planned,
    ev.RunPaused: _paused,
    ev.RunUnpaused: _unpaused,
    ev.RunClosing: _closing,
    ev.RunRetried: retried,
    ev.RunDeferred: _deferred,
    ev.RunFinished: _finished,
    ev.StepQueued: _queued,
    ev.StepWaiting: _waiting,
    ev.EventAwaited: _nothing,
    ev.EventWaitOver: _nothing,
    ev.StepRetrying: _retrying,
    ev.StepSucceeded: _succeeded,
    ev.StepFailed: _failed,
    ev.StepSkipped: _skipped,
    ev.StepCancelling: _cancelling,
    ev.StepCancelled: _cancelled,
    ev.StepUnknown: _unknown,
    ev.LateResult: _late,
    ev.BranchTaken: _branch,
    ev.ScopeOpened: _scope_opened,
    ev.ScopeClosing: _scope_closing,
    ev.MapExpanded: _expanded,
    ev.LoopStarted: _loop_started,
    ev.ChildEnded: _child_ended,
    VariableDeclared: _variable,
    VariableSet: _variable,
    VariableRemoved: _variable,
}
