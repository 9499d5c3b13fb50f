"""Large maps: child runs of at most 1,000 items each, so that no stream grows with the list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from actors.core.outputs import Tell
from actors.workflows.engine import closing, flow, work
from actors.workflows.engine.look import look_from
from actors.workflows.engine.turn import Facts, Turn
from actors.workflows.fold import gathered
from actors.workflows.messages import RetryRun, RunEnded, StartRun
from actors.workflows.places import part, part_of
from actors.workflows.plan import Each, Step
from actors.workflows.state import ENDED, Part
from actors.workflows.values import MISSING, source_of
from events.workflows import ChildEnded, MapExpanded, Parent, StepError, StepWaiting

SIZE: Final = 1_000
"""Items that one run handles."""


def begin(turn: Turn, place: str, step: Step, items: list[Any], keys: list[str]) -> None:
    """Spread the items over child runs, and start as many of those as may run at once."""
    count = -(-len(items) // SIZE)
    children = [work.child_of(turn.address, part(place, n)) for n in range(count)]
    turn.emit(MapExpanded(place, turn.now, len(items), items, keys, children))
    each = step.each
    assert each is not None
    for number in range(min(count, each.concurrency or count)):
        turn.later(_start, turn, place, step, number)


def _start(turn: Turn, place: str, step: Step, number: int) -> None:
    at = part(place, number)
    owner = turn.node(place)
    if owner.status != "open" or turn.run.closing:
        return
    if turn.node(at).status == "succeeded":  # before the run was retried
        turn.later(_next, turn, place)
        return
    run = turn.run
    child = work.child_of(turn.address, at)
    again = turn.node(at).status in ENDED
    turn.emit(StepWaiting(at, f"run {child}", turn.now, ref=f"run/{child}"))
    if again:
        turn.out(Tell(f"run/{child}", RetryRun(turn.address)))
        return
    each = step.each
    assert each is not None
    assert owner.held is not None
    first = number * SIZE
    piece = Part(
        place,
        first,
        owner.held.items[first : first + SIZE],
        owner.held.keys[first : first + SIZE],
        _share(each, owner.parts, number),
        allowed(each, owner.count),
        _captured(turn, place, step),
    )
    parent = Parent(turn.address, at, 1 if run.parent is None else run.parent.depth)
    turn.out(
        Tell(
            f"run/{child}",
            StartRun(
                turn.index.stored, run.inputs, parent, run.labels, run.priority, f"{turn.address}:{place}", part=piece
            ),
        )
    )


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
    """A child run told how it ended."""
    found = part_of(message.ref)
    assert found is not None
    owner, _ = found
    if turn.node(message.ref).status in ENDED:
        return
    turn.emit(
        ChildEnded(
            message.ref,
            turn.node(message.ref).ref,
            turn.now,
            message.status,
            message.outputs,
            message.error,
            message.usage,
            message.bad,
        )
    )
    node = turn.node(owner)
    if node.status not in ("open", "cancelling"):
        return
    each = turn.step(owner).each
    assert each is not None
    states = [turn.node(part(owner, n)) for n in range(node.parts)]
    failed = [n for n in states if n.status in ("failed", "cancelled")]
    under_way = [n for n in states if flow.is_under_way(n)]
    if failed or node.bad > allowed(each, node.count) or turn.run.closing:
        if under_way:
            closing.stop_repeated(turn, owner, "too many items failed")
            return
        first = next((n.error for n in failed if n.status == "failed" and n.error is not None), None)
        error = first or StepError("cancelled" if turn.run.closing else "error", f"{node.bad} items failed")
        flow.conclude(turn, owner, error)
    elif all(n.status == "succeeded" for n in states):
        flow.conclude(turn, owner, gathered(turn.run, owner, node.count), Facts(collected=node.count))
    else:
        _next(turn, owner)


def _next(turn: Turn, owner: str) -> None:
    """Start the next part that has not begun."""
    for number in range(turn.node(owner).parts):
        node = turn.node(part(owner, number))
        if node.status != "succeeded" and not flow.is_under_way(node):
            _start(turn, owner, turn.step(owner), number)
            return


# -- what the items read from around the map


def _captured(turn: Turn, place: str, step: Step) -> dict[str, Any]:
    """Every outside value that an expression of the step's body reads, by reference."""
    look = look_from(turn, place)
    captured: dict[str, Any] = {}
    for source in dict.fromkeys(_sources(msgspec.to_builtins(step))):
        for reference in turn.engine.expressions.compile(source, turn.names(place)).references:
            if reference[0] in ("inputs", "run"):
                continue
            try:
                value = look(reference)
            except flow.ExpressionError:
                continue  # it has a meaning only within the item
            if value is not MISSING:
                captured[".".join(reference)] = value
    return captured


def _sources(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        source = source_of(value)
        if source is not None:
            yield source
    elif isinstance(value, dict):
        for inner in value.values():  # type: ignore[misc]
            yield from _sources(inner)
    elif isinstance(value, list):
        for inner in value:  # type: ignore[misc]
            yield from _sources(inner)
