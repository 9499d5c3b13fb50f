"""Maps: the same step for each item of a list that is known only now."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import prod
from typing import Any, Final, cast

from actors.workflows.engine import flow, parts, stopping
from actors.workflows.engine.look import look_from
from actors.workflows.engine.turn import Facts, Stopped, Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.moves import gathered
from actors.workflows.plan import Each, Step
from events.workflows import MapExpanded, StepError

INLINE: Final = 1_000
"""Items of maps that live in one run."""
SMALL: Final = 16
"""So few items are not worth a run of their own, however many there are already."""
MOST: Final = 1_000_000
"""Items of one map."""


def expand(turn: Turn, place: str, step: Step) -> None:
    """Find the items, and begin as many as may run at once."""
    each = step.each
    assert each is not None
    try:
        items = _items(turn, place, each)
        keys = _keys(turn, place, each, items)
    except ExpressionError as error:
        flow.conclude(turn, place, StepError("expression", f"map: {error.message}"))
        return
    if len(items) > INLINE or (len(items) > SMALL and turn.run.inline + len(items) > INLINE):
        parts.begin(turn, place, items, keys)
    else:
        begin_items(turn, place, items, keys)


def begin_items(turn: Turn, place: str, items: list[Any], keys: list[str]) -> None:
    """Begin as many items as may run at once."""
    turn.emit(MapExpanded(place, turn.now, len(items), items, keys))
    if items:
        turn.later("fill map", place)
    else:
        turn.later("check map", place)


def fill(turn: Turn, place: str) -> None:
    """Begin the next items while fewer than allowed are under way."""
    node = turn.node(place)
    if node.status != "open" or node.parts or turn.is_past(place):
        return
    number, under_way = node.next, node.begun - node.done
    limit = at_once(turn, place)
    while number < node.count and (limit is None or under_way < limit):
        if turn.full:
            turn.later("fill map", place)
            return
        item = f"{place}[{number}]"
        number += 1
        if turn.node(item).status == "pending":
            flow.begin(turn, item)
            under_way += turn.under_way(item)


def at_once(turn: Turn, place: str) -> int | None:
    """How many items may be under way."""
    part = turn.run.part
    if part is not None and part.place == place:
        return part.concurrency
    each = turn.step(place).each
    return each.concurrency if each is not None else None


def tolerated(turn: Turn, place: str) -> int:
    """How many items may fail."""
    part = turn.run.part
    if part is not None and part.place == place:
        return part.tolerate
    each = turn.step(place).each
    assert each is not None
    return parts.allowed(each, turn.node(place).count)


def check(turn: Turn, place: str) -> None:
    """An item ended: is it too much, has the map ended, or do others begin? Also what a loop that stops asks for."""
    node = turn.node(place)
    if turn.is_past(place):
        return
    if node.parts:
        parts.check(turn, place)
    elif node.status == "cancelling":
        if node.begun == node.done:
            flow.conclude(turn, place, node.error or Stopped(node.reason))
    elif node.status == "open" and node.held is not None:
        if node.bad > tolerated(turn, place):
            stopping.stop_repeated(turn, place, "too many items failed", _why(turn, place))
        elif node.done == node.count:
            flow.conclude(turn, place, gathered(turn.run, place, node.count), Facts(collected=node.count))
        else:
            turn.later("fill map", place)


def _items(turn: Turn, place: str, each: Each) -> list[Any]:
    lists: list[list[Any]] = []
    for n, over in enumerate(each.over):
        value = turn.render(place, f"over{n}", over)
        if isinstance(value, dict):
            if "$blob" in value:
                raise ExpressionError(f"{over} is a result that is too large to be kept in the run")
            value = [{"key": key, "value": item} for key, item in cast("dict[str, Any]", value).items()]
        if not isinstance(value, list):
            raise ExpressionError(f"{over} is no list but {type(value).__name__}")
        lists.append(cast("list[Any]", value))
    count = prod(len(column) for column in lists) if each.combine == "cross" else max(map(len, lists), default=0)
    if count > MOST:
        raise ExpressionError(f"{count} items, {MOST} are allowed")
    if len(lists) == 1 and not each.combine:
        return lists[0]
    if each.combine == "cross":
        return [list(row) for row in product(*lists)]
    if len({len(column) for column in lists}) > 1:
        raise ExpressionError(f"lists of {', '.join(str(len(column)) for column in lists)} items cannot be zipped")
    return [list(row) for row in zip(*lists, strict=True)]


def _keys(turn: Turn, place: str, each: Each, items: list[Any]) -> list[str]:
    if each.key is None:
        return []
    template = turn.template(place, "key", each.key)
    keys: list[str] = []
    for number, item in enumerate(items):
        key = template.render(look_from(turn, place, {each.name: item, "item": item, "index": number}))
        if not isinstance(key, str | int) or isinstance(key, bool):
            raise ExpressionError(f"the key of item {number} is {key!r}, neither a text nor a whole number")
        keys.append(str(key))
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise ExpressionError(f"two items have the key {twice[0]!r}")
    return keys


def _why(turn: Turn, place: str) -> StepError:
    node = turn.node(place)
    for n in range(node.next):
        item = turn.node(f"{place}[{n}]")
        if item.error is not None and item.status in ("failed", "cancelled"):
            key = node.held.keys[n] if node.held is not None and node.held.keys else str(n)
            message = f"{node.bad} of {node.count} items failed, first {key}: {item.error.message}"
            return StepError(item.error.kind, message)
    return StepError("error", f"{node.bad} of {node.count} items failed")
