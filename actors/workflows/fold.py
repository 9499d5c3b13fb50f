"""What each event makes of a run. Total, pure, and as dear as what the event touches."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from actors.workflows.index import index_of, plan_from
from actors.workflows.places import belongs, in_plan, inside, part, part_of, repeats, scope_of, stands_alone
from actors.workflows.state import ENDED, Items, Node, Part, Run, Scope
from events import workflows as ev

_FRESH: Final = Node()


def evolve(run: Run, event: Any) -> Run:
    """Apply one event."""
    _FOLDS[event.__class__](run, event)
    return run


def node_at(run: Run, place: str) -> Node:
    """What is known of a step; a fresh node when nothing is."""
    return run.nodes.get(place, _FRESH)


# -- the run


def _started(run: Run, e: ev.RunStarted) -> None:
    run.status = "running"
    run.workflow, run.version, run.definition = e.workflow, e.version, e.definition
    run.inputs, run.parent, run.labels, run.priority = e.inputs, e.parent, e.labels, e.priority
    run.started_at = e.at
    run.reports_to = e.reports_to
    run.part = msgspec.convert(e.part, Part) if e.part is not None else None


def _planned(run: Run, e: ev.RunPlanned) -> None:
    run.plan = plan_from(run.definition, bytes(e.plan))
    if run.part is None:
        run.scopes[""] = Scope("root", len(run.plan.root.steps))


def _paused(run: Run, _e: ev.RunPaused) -> None:
    run.paused = True


def _unpaused(run: Run, _e: ev.RunUnpaused) -> None:
    run.paused = False


def _closing(run: Run, e: ev.RunClosing) -> None:
    run.closing = e.status
    run.error = e.error or run.error


def _finished(run: Run, e: ev.RunFinished) -> None:
    run.status, run.finished_at = e.status, e.at
    run.outputs, run.error = e.outputs, e.error


def _retried(run: Run, e: ev.RunRetried) -> None:
    """The steps named, and all that was skipped or stopped for their sake, are as if they had never begun."""
    run.status, run.closing, run.error, run.finished_at = "running", "", None, 0
    for place in [p for p in run.nodes if any(belongs(p, name) for name in e.steps)]:
        _begin_anew(run, place, e.steps)
    for place in [p for p in run.scopes if p and any(belongs(p, name) for name in e.steps)]:
        if not any(good and belongs(place, good) for good in _finished_items(run, place)):
            del run.scopes[place]
    if run.part is not None:
        return
    scope = run.scopes[""]
    steps = index_of(run).plan.root.steps
    ended = {s.name for s in steps if node_at(run, s.name).status in ENDED}
    run.scopes[""] = replace(
        scope, left=len(steps) - len(ended), active=0, closing="", error=None,
        failed=sum(node_at(run, name).status == "failed" for name in ended),
        succeeded=sum(node_at(run, name).status == "succeeded" for name in ended),
    )  # fmt: skip
    for step in steps:
        if step.name not in ended:
            kinds = [node_at(run, need).status for need in step.needs if need in ended]
            run.nodes[step.name] = replace(
                node_at(run, step.name),
                left=len(step.needs) - len(kinds),
                succeeded=kinds.count("succeeded"),
                failed=kinds.count("failed"),
                skipped=len(kinds) - kinds.count("succeeded") - kinds.count("failed"),
            )


def _begin_anew(run: Run, place: str, steps: list[str]) -> None:
    """Forget what was tried, but not what succeeded among the items of a map, nor the map's items."""
    node = node_at(run, place)
    if any(node_at(run, item).status == "succeeded" for item in _finished_items(run, place)):
        return
    if place in steps and node.held is not None:
        run.nodes[place] = Node(held=node.held, count=node.count, parts=node.parts)
    elif part_of(place) is None:
        del run.nodes[place]


def _finished_items(run: Run, place: str) -> list[str]:
    """The items of a step's own map that a place belongs to."""
    cut = place.find("]")
    return [place[: cut + 1]] if cut > 0 and "/" not in place[:cut] and place[: cut + 1] in run.nodes else []


# -- steps


def _move(run: Run, place: str, at: int, status: str, slot: bool, **changes: Any) -> None:
    """A step goes on to a status that is not its end."""
    node = node_at(run, place)
    if node.status == "pending" and not stands_alone(place):
        scope = run.scopes.get(scope_of(place))
        if scope is not None:
            run.scopes[scope_of(place)] = replace(scope, active=scope.active + 1)
    elif node.status == "pending":
        _item_begins(run, place)
    run.running += slot - node.slot
    run.nodes[place] = replace(node, status=status, since=at, began=node.began or at, slot=slot, **changes)


def _item_begins(run: Run, place: str) -> None:
    repeated = repeats(place)
    if repeated is not None:
        owner = node_at(run, repeated[0])
        run.nodes[repeated[0]] = replace(owner, begun=owner.begun + 1, next=max(owner.next, repeated[2] + 1))


def _queued(run: Run, e: ev.StepQueued) -> None:
    _move(run, e.step, e.at, "queued", True, attempt=e.attempt, reason="", ref="")


def _waiting(run: Run, e: ev.StepWaiting) -> None:
    _move(run, e.step, e.at, "waiting", False, reason=e.reason, ref=e.ref)
    if e.reason == SLOT:
        priority = str(_priority(run, e.step))
        first, following = run.tickets.get(priority, (0, 0))
        run.backlog[f"{priority}:{following}"] = e.step
        run.tickets[priority] = (first, following + 1)


SLOT: Final = "a slot of this run"


def next_in_line(run: Run) -> tuple[str, str] | None:
    """(ticket, place) of the step that waits for a slot and has the highest priority, then the longest wait."""
    for priority in sorted(run.tickets, key=int, reverse=True):
        first, following = run.tickets[priority]
        while first < following:
            place = run.backlog.get(f"{priority}:{first}")
            if place is not None and node_at(run, place).reason == SLOT:
                return f"{priority}:{first}", place
            run.backlog.pop(f"{priority}:{first}", None)
            first += 1
            run.tickets[priority] = (first, following)
    return None


def _priority(run: Run, place: str) -> int:
    step = index_of(run).steps.get(in_plan(place))
    return run.priority if step is None or step.priority is None else step.priority


def _retrying(run: Run, e: ev.StepRetrying) -> None:
    _move(run, e.step, e.at, "retrying", False, error=e.error, attempt=e.attempt)


def _cancelling(run: Run, e: ev.StepCancelling) -> None:
    _move(run, e.step, e.at, "cancelling", node_at(run, e.step).slot, reason=e.reason)


def _unknown(run: Run, e: ev.StepUnknown) -> None:
    _move(run, e.step, e.at, "unknown", False, reason=e.reason)


def _branch(run: Run, e: ev.BranchTaken) -> None:
    node = node_at(run, e.step)
    run.nodes[e.step] = replace(node, chosen=tuple(e.chosen))


def _end(run: Run, place: str, at: int, status: str, **changes: Any) -> None:
    """A step ended: its block and those who need it come nearer to their turn."""
    node = node_at(run, place)
    run.running -= node.slot
    if node.status == "pending":
        _item_begins(run, place)
    if status == "succeeded":
        run.successes += 1
        changes["order"] = run.successes
    began = node.began or at
    run.nodes[place] = replace(node, status=status, since=at, began=began, slot=False, reason="", **changes)
    repeated = repeats(place)
    if repeated is not None:
        owner = node_at(run, repeated[0])
        run.nodes[repeated[0]] = replace(owner, done=owner.done + 1, bad=owner.bad + (status != "succeeded"))
        return
    if stands_alone(place):
        return
    where = scope_of(place)
    scope = run.scopes.get(where)
    if scope is None:
        return
    run.scopes[where] = replace(
        scope,
        left=scope.left - 1,
        active=scope.active - (node.status != "pending"),
        failed=scope.failed + (status == "failed"),
        succeeded=scope.succeeded + (status == "succeeded"),
    )
    index = index_of(run)
    steps = index.steps
    here = in_plan(place)
    prefix = in_plan(where)
    good, bad = status == "succeeded", status in ("failed", "cancelled")
    for name in steps[here].dependents:
        dependent = inside(where, name)
        other = node_at(run, dependent)
        left = other.left if other.left >= 0 else len(steps[inside(prefix, name)].needs)
        run.nodes[dependent] = replace(
            other,
            left=left - 1,
            succeeded=other.succeeded + good,
            failed=other.failed + bad,
            skipped=other.skipped + (not good and not bad),
        )


def _succeeded(run: Run, e: ev.StepSucceeded) -> None:
    output = e.output if e.collected is None else gathered(run, e.step, e.collected)
    _end(run, e.step, e.at, "succeeded", output=output, error=e.recovered, attempt=e.attempt)
    _spend(run, e.usage)


def gathered(run: Run, place: str, count: int) -> list[Any]:
    """The results of a map's items, in order; None for those that have none."""
    parts = node_at(run, place).parts
    if parts:
        return [output for n in range(parts) for output in node_at(run, part(place, n)).output or ()]
    return [node_at(run, f"{place}[{n}]").output for n in range(count)]


def _failed(run: Run, e: ev.StepFailed) -> None:
    _end(run, e.step, e.at, "failed", error=e.error, attempt=e.attempt)
    _spend(run, e.usage)


def _skipped(run: Run, e: ev.StepSkipped) -> None:
    _end(run, e.step, e.at, "skipped")


def _cancelled(run: Run, e: ev.StepCancelled) -> None:
    _end(run, e.step, e.at, "cancelled", error=ev.StepError("cancelled", e.reason))


def _spend(run: Run, usage: dict[str, str]) -> None:
    if usage:
        run.usage = dict(run.usage)
        for name, amount in usage.items():
            run.usage[name] = str(Decimal(run.usage.get(name, "0")) + Decimal(amount))


# -- structure


def _scope_opened(run: Run, e: ev.ScopeOpened) -> None:
    graph = index_of(run).graphs.get(in_plan(e.scope))
    run.scopes[e.scope] = Scope(e.kind, len(graph.steps) if graph is not None else 0, vars=e.vars)
    place = e.scope.rpartition("!")[0] if e.kind in ("catch", "finally") else e.scope
    if node_at(run, place).status not in ENDED:
        _move(run, place, e.at, "open", False)


def _scope_closing(run: Run, e: ev.ScopeClosing) -> None:
    scope = run.scopes[e.scope]
    run.scopes[e.scope] = replace(scope, closing=scope.closing or e.reason, error=scope.error or e.error)


def _expanded(run: Run, e: ev.MapExpanded) -> None:
    done = 0
    if node_at(run, e.step).held is not None:  # begun before: what succeeded then, counts
        done = sum(node_at(run, f"{e.step}[{n}]").status == "succeeded" for n in range(e.count))
    parts = len(e.children)
    held = Items(e.items, e.keys)
    _move(run, e.step, e.at, "open", False, count=e.count, done=done, begun=done, bad=0, parts=parts, held=held)


def _part_ended(run: Run, place: str, owner: str, e: ev.ChildEnded) -> None:
    """A child run handled some of the items of a map."""
    node = node_at(run, place)
    output: Any = e.output
    size = len(output) if isinstance(output, list) else 0  # type: ignore[arg-type]
    status = e.status if e.status in ENDED else "failed"
    run.nodes[place] = replace(node, status=status, output=e.output, error=e.error, since=e.at)
    whole = node_at(run, owner)
    run.nodes[owner] = replace(whole, done=whole.done + size, bad=whole.bad + e.bad)


def _loop_started(run: Run, e: ev.LoopStarted) -> None:
    _move(run, e.step, e.at, "open", False)


def _child_ended(run: Run, e: ev.ChildEnded) -> None:
    _spend(run, e.usage)
    found = part_of(e.step)
    if found is not None:
        _part_ended(run, e.step, found[0], e)


def _nothing(_run: Run, _e: Any) -> None:
    """Kept for the record."""


_FOLDS: Final[dict[type[Any], Callable[[Run, Any], None]]] = {
    ev.RunStarted: _started,
    ev.RunPlanned: _planned,
    ev.RunPaused: _paused,
    ev.RunUnpaused: _unpaused,
    ev.RunClosing: _closing,
    ev.RunRetried: _retried,
    ev.RunFinished: _finished,
    ev.StepQueued: _queued,
    ev.StepWaiting: _waiting,
    ev.StepRetrying: _retrying,
    ev.StepSucceeded: _succeeded,
    ev.StepFailed: _failed,
    ev.StepSkipped: _skipped,
    ev.StepCancelling: _cancelling,
    ev.StepCancelled: _cancelled,
    ev.StepUnknown: _unknown,
    ev.LateResult: _nothing,
    ev.BranchTaken: _branch,
    ev.ScopeOpened: _scope_opened,
    ev.ScopeClosing: _scope_closing,
    ev.MapExpanded: _expanded,
    ev.LoopStarted: _loop_started,
    ev.ChildEnded: _child_ended,
}
