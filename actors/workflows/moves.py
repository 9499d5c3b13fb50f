"""How a step moves from one status to the next, and what its end means for those around it. Part of the fold."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from actors.workflows.index import index_of
from actors.workflows.places import in_plan, inside, part, repeats, scope_of, stands_alone
from actors.workflows.state import Node, Run

FRESH: Final = Node()
SLOT: Final = "a slot of this run"
"""What a step waits for that `Plan.concurrency` holds up."""


def node_at(run: Run, place: str) -> Node:
    """What is known of a step; a fresh node when nothing is."""
    return run.nodes.get(place, FRESH)


def move(run: Run, place: str, at: int, status: str, slots: int = 0, **changes: Any) -> None:
    """A step goes on to a status that is not its end."""
    node = run.nodes.get(place, FRESH)
    if node.status == "pending":
        if not stands_alone(place):
            where = scope_of(place)
            scope = run.scopes.get(where)
            if scope is not None:
                run.scopes[where] = replace(scope, active=scope.active + 1)
        else:
            _item_begins(run, place)
    elif node.reason == SLOT:
        _leave_line(run, node.ref)
    run.running += slots - node.slots
    run.nodes[place] = replace(node, status=status, since=at, began=node.began or at, slots=slots, **changes)


def _item_begins(run: Run, place: str) -> None:
    repeated = repeats(place)
    if repeated is not None:
        owner = node_at(run, repeated[0])
        run.nodes[repeated[0]] = replace(owner, begun=owner.begun + 1, next=max(owner.next, repeated[2] + 1))


def end(run: Run, place: str, at: int, status: str, **changes: Any) -> None:
    """A step ended: its block and those who need it come nearer to their turn."""
    node = run.nodes.get(place, FRESH)
    run.running -= node.slots
    if node.status == "pending":
        _item_begins(run, place)
    elif node.reason == SLOT:
        _leave_line(run, node.ref)
    if status == "succeeded":
        run.successes += 1
        changes["order"] = run.successes
    began = node.began or at
    run.nodes[place] = replace(node, status=status, since=at, began=began, slots=0, reason="", **changes)
    if stands_alone(place):
        _stands_alone(run, place, status)
        return
    where = scope_of(place)
    scope = run.scopes.get(where)
    blocked = bool(changes.get("blocked"))
    good, bad = status == "succeeded" and not blocked, status in ("failed", "cancelled") or blocked
    if scope is not None:
        run.scopes[where] = replace(
            scope,
            left=scope.left - 1,
            active=scope.active - (node.status != "pending"),
            failed=scope.failed + (status == "failed" or blocked),
            succeeded=scope.succeeded + good,
        )
    steps = index_of(run).steps
    step = steps[in_plan(place)]
    if status == "succeeded" and step.undo is not None:
        run.undos[str(run.undoable)] = place
        run.undoable += 1
    prefix = in_plan(where)
    for name in step.dependents:
        dependent = inside(where, name)
        other = run.nodes.get(dependent, FRESH)
        left = other.left if other.left >= 0 else len(steps[inside(prefix, name)].needs)
        run.nodes[dependent] = replace(
            other,
            left=left - 1,
            succeeded=other.succeeded + good,
            failed=other.failed + bad,
            skipped=other.skipped + (not good and not bad),
        )


def _stands_alone(run: Run, place: str, status: str) -> None:
    """The end of an item, an iteration, or of what undoes a step."""
    if place.endswith("!undo"):
        if run.undoable and run.undos.get(str(run.undoable - 1)) == place.removesuffix("!undo"):
            run.undoable -= 1
            del run.undos[str(run.undoable)]
        return
    repeated = repeats(place)
    if repeated is not None:
        owner = node_at(run, repeated[0])
        run.nodes[repeated[0]] = replace(owner, done=owner.done + 1, bad=owner.bad + (status != "succeeded"))


def gathered(run: Run, place: str, count: int) -> list[Any]:
    """The results of a map's items, in order; None for those that have none."""
    parts = node_at(run, place).parts
    if parts:
        return [output for n in range(parts) for output in node_at(run, part(place, n)).output or ()]
    return [node_at(run, f"{place}[{n}]").output for n in range(count)]


# -- the line of those who wait for a slot: highest priority first, then who waited longest


def stand_in_line(run: Run, place: str) -> str:
    """Give a step a ticket."""
    step = index_of(run).steps.get(in_plan(place.partition("%")[0]))
    priority = str(run.priority if step is None or step.priority is None else step.priority)
    first, following = run.tickets.get(priority, (0, 0))
    ticket = f"{priority}:{following}"
    run.backlog[ticket] = place
    run.tickets[priority] = (first, following + 1)
    return ticket


def _leave_line(run: Run, ticket: str) -> None:
    run.backlog.pop(ticket, None)
    priority = ticket.partition(":")[0]
    first, following = run.tickets[priority]
    while first < following and f"{priority}:{first}" not in run.backlog:
        first += 1  # each number is passed once
    if first == following:
        del run.tickets[priority]
    else:
        run.tickets[priority] = (first, following)


def next_in_line(run: Run) -> str | None:
    """The step that waits for a slot and has the highest priority, then the longest wait."""
    if not run.tickets:
        return None
    priority = max(run.tickets, key=int)
    return run.backlog[f"{priority}:{run.tickets[priority][0]}"]
