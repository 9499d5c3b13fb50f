"""Large maps: child runs of at most 1,000 items each, so that no stream grows with the list.

`map%0` is the place of the first. As the items begin and end in the child, the parent hears only of its end; it pauses,
stops, retries and undoes the child as a whole.
"""

from __future__ import annotations

from typing import Final

from actors.core.outputs import Ask, TellRefused
from actors.workflows.engine import flow, slots, stopping, undoing
from actors.workflows.engine.captured import captured
from actors.workflows.engine.turn import Facts, Stopped, Turn
from actors.workflows.messages import RetryRun, RunEnded, StartRun
from actors.workflows.moves import SLOT, gathered
from actors.workflows.places import child_of, part, part_of
from actors.workflows.plan import Each
from actors.workflows.state import ENDED, Part
from events.workflows import ChildEnded, MapExpanded, Parent, StepError, StepWaiting

SIZE: Final = 1_000
"""Items that one run handles."""


def begin(turn: Turn, place: str, items: list[object], keys: list[str]) -> None:
    """Spread the items over child runs, and start as many of those as may run at once."""
    count = -(-len(items) // SIZE)
    children = [child_of(turn.address, part(place, n)) for n in range(count)]
    turn.emit(MapExpanded(place, turn.now, len(items), items, keys, children))
    turn.later("fill parts", place)


def fill(turn: Turn, place: str) -> None:
    """Start the next parts that have not begun, or must be tried again."""
    owner = turn.node(place)
    each = turn.step(place).each
    if owner.status != "open" or each is None or turn.is_past(place):
        return
    under_way = sum(turn.under_way(part(place, n)) for n in range(owner.parts))
    for number in range(owner.parts):
        at = part(place, number)
        if under_way >= (each.concurrency or owner.parts):
            return
        if turn.node(at).status != "succeeded" and not turn.under_way(at):
            start(turn, at)
            under_way += 1


def start(turn: Turn, at: str) -> None:
    """Start a part, or have it try again what failed in it; it takes as many slots as it may have tasks under way."""
    found = part_of(at)
    assert found is not None
    place, number = found
    owner, run = turn.node(place), turn.run
    each = turn.step(place).each
    assert each is not None
    assert owner.held is not None
    if run.paused:
        turn.emit(StepWaiting(at, slots.PAUSED, turn.now))
        return
    at_once = _share(each, owner.parts, number)
    limit = slots.limit_of(turn)
    taken = 0
    if limit is not None:
        if run.running >= limit:
            turn.emit(StepWaiting(at, SLOT, turn.now))
            return
        taken = limit - run.running if at_once is None else min(limit - run.running, at_once)
    child = f"run/{child_of(turn.address, at)}"
    again = turn.node(at).attempt > 0
    attempt = turn.node(at).attempt + 1
    turn.emit(StepWaiting(at, f"run {child[4:]}", turn.now, ref=child, attempt=attempt, slots=taken))
    if again:
        turn.out(Ask(child, RetryRun(turn.address, slots=taken or None), at))
        return
    first = number * SIZE
    piece = Part(
        place, first, owner.held.items[first : first + SIZE], owner.held.keys[first : first + SIZE], at_once,
        allowed(each, owner.count), taken or None, captured(turn, place),
        turn.variables_of or turn.address,
    )  # fmt: skip
    parent = Parent(turn.address, at, 1 if run.parent is None else run.parent.depth)
    by = f"{turn.address}:{place}"
    message = StartRun(
        run.plan,
        run.inputs,
        parent,
        run.labels,
        run.priority,
        by,
        part=piece,
        requesters=run.requesters,
        cause=run.cause,
    )
    turn.out(Ask(child, message, at))


def _share(each: Each, parts: int, number: int) -> int | None:
    """How many items of one part may run at once, so that all of them together keep to the limit."""
    if each.concurrency is None:
        return None
    at_once = min(parts, each.concurrency)
    return each.concurrency // at_once + (number % at_once < each.concurrency % at_once)


def allowed(each: Each, count: int) -> int:
    """Items that may fail."""
    return each.tolerate if each.tolerate_share is None else int(each.tolerate_share * count)


def ended(turn: Turn, message: RunEnded) -> None:
    """A part told how it ended, or that it is undone."""
    if message.ref.endswith("!undo"):
        undoing.part_undone(turn, message)
        return
    at = message.ref
    node = turn.node(at)
    found = part_of(at)
    if found is None or node.status not in ("waiting", "cancelling"):
        return
    turn.emit(
        ChildEnded(
            at, node.ref, turn.now, message.status, message.outputs, message.error, message.usage, message.bad
        )
    )  # fmt: skip
    slots.freed(turn)
    check(turn, found[0])


def refused(turn: Turn, at: str, message: TellRefused) -> None:
    """A part cannot be started, retried or stopped."""
    found = part_of(at)
    assert found is not None
    error = StepError("refused", f"{message.by}: {message.reason}")
    turn.emit(ChildEnded(at, turn.node(at).ref, turn.now, "failed", error=error))
    slots.freed(turn)
    check(turn, found[0])


def check(turn: Turn, place: str) -> None:
    """A part ended: is it too much, has the map ended, or do others begin?"""
    node = turn.node(place)
    each = turn.step(place).each
    if each is None or node.status not in ("open", "cancelling") or turn.is_past(place):
        return
    states = [turn.node(part(place, n)) for n in range(node.parts)]
    under_way = sum(n.status != "pending" and n.status not in ENDED for n in states)
    failed = [n for n in states if n.status in ("failed", "cancelled")]
    if node.status == "cancelling":
        if not under_way:
            flow.conclude(turn, place, node.error or Stopped(node.reason))
    elif failed or node.bad > allowed(each, node.count):
        first = next((n.error for n in failed if n.error is not None), None)
        error = first or StepError("error", f"{node.bad} of {node.count} items failed")
        stopping.stop_repeated(turn, place, "too many items failed", error)
    elif node.parts and all(n.status == "succeeded" for n in states):
        flow.conclude(turn, place, gathered(turn.run, place, node.count), Facts(collected=node.count))
    else:
        turn.later("fill parts", place)
