"""Maps and loops: the same step again, for each item or while something holds."""

from __future__ import annotations

from itertools import product
from typing import Any

from actors.core.outputs import Schedule
from actors.workflows.engine import closing, flow, parts
from actors.workflows.engine.look import look_from
from actors.workflows.engine.turn import Facts, Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.fold import gathered
from actors.workflows.messages import StepDue
from actors.workflows.places import repeats
from actors.workflows.plan import Each, Step
from events.workflows import LoopStarted, MapExpanded, StepError, StepWaiting


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
    if len(items) > parts.SIZE:
        parts.begin(turn, place, step, items, keys)
        return
    begin_items(turn, place, items, keys)


def begin_items(turn: Turn, place: str, items: list[Any], keys: list[str]) -> None:
    """Begin as many items as may run at once."""
    turn.emit(MapExpanded(place, turn.now, len(items), items, keys))
    node = turn.node(place)
    if node.done == node.count:
        flow.conclude(turn, place, gathered(turn.run, place, node.count), Facts(collected=node.count))
        return
    _fill(turn, place)


def _fill(turn: Turn, place: str) -> None:
    """Begin the next items while fewer than allowed are under way."""
    node = turn.node(place)
    number, under_way = node.next, node.begun - node.done
    limit = _at_once(turn, place)
    while number < node.count and (limit is None or under_way < limit):
        item = f"{place}[{number}]"
        number += 1
        if turn.node(item).status == "pending":
            under_way += 1
            flow.begin(turn, item)


def _at_once(turn: Turn, place: str) -> int | None:
    part = turn.run.part
    if part is not None and part.place == place:
        return part.concurrency
    each = turn.step(place).each
    return each.concurrency if each is not None else None


def _allowed(turn: Turn, place: str) -> int:
    part = turn.run.part
    if part is not None and part.place == place:
        return part.tolerate
    each = turn.step(place).each
    assert each is not None
    return parts.allowed(each, turn.node(place).count)


def _items(turn: Turn, place: str, each: Each) -> list[Any]:
    lists: list[list[Any]] = []
    for n, over in enumerate(each.over):
        value = turn.render(place, f"over{n}", over)
        if isinstance(value, dict):
            value = [{"key": key, "value": item} for key, item in value.items()]  # type: ignore[misc]
        if not isinstance(value, list):
            raise ExpressionError(f"{over} is no list but {type(value).__name__}")
        lists.append(value)  # type: ignore[arg-type]
    if len(lists) == 1:
        return lists[0]
    if each.combine == "cross":
        return [list(row) for row in product(*lists)]
    if len({len(column) for column in lists}) > 1:
        raise ExpressionError(f"lists of {', '.join(str(len(column)) for column in lists)} items cannot be zipped")
    return [list(row) for row in zip(*lists, strict=True)]


def _keys(turn: Turn, place: str, each: Each, items: list[Any]) -> list[str]:
    if each.key is None:
        return []
    template = turn.template(f"{place}/", "key", each.key)
    keys: list[str] = []
    for number, item in enumerate(items):
        look = look_from(turn, place, {each.name: item, "item": item, "index": number})
        keys.append(str(template.render(look)))
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ExpressionError(f"two items have the key {twice!r}")
    return keys


def one_ended(turn: Turn, owner: str, kind: str, number: int) -> None:
    """An item or an iteration ended."""
    if kind == "item":
        _item_ended(turn, owner)
    else:
        _iteration_ended(turn, owner, number)


def _item_ended(turn: Turn, owner: str) -> None:
    node = turn.node(owner)
    if node.status not in ("open", "cancelling"):
        return
    allowed = _allowed(turn, owner)
    if node.bad > allowed or turn.run.closing:
        if node.begun == node.done:
            flow.conclude(turn, owner, _why(turn, owner))
        elif node.bad == allowed + 1 and not turn.run.closing:
            closing.stop_repeated(turn, owner, "too many items failed")
    elif node.done == node.count:
        flow.conclude(turn, owner, gathered(turn.run, owner, node.count), Facts(collected=node.count))
    else:
        turn.later(_fill, turn, owner)


def _why(turn: Turn, owner: str) -> StepError:
    node = turn.node(owner)
    for n in range(node.count):
        item = turn.node(f"{owner}[{n}]")
        if item.status == "failed" and item.error is not None:
            key = node.held.keys[n] if node.held is not None and node.held.keys else str(n)
            return StepError(
                item.error.kind, f"{node.bad} of {node.count} items failed, first {key}: {item.error.message}"
            )
    return StepError("cancelled", "stopped")


# -- loops


def iterate(turn: Turn, place: str, step: Step, number: int) -> None:
    """Begin the next iteration, if there is to be one."""
    loop = step.loop
    assert loop is not None
    if number == 0:
        turn.emit(LoopStarted(place, turn.now))
    if number >= loop.most:
        flow.conclude(turn, place, StepError("loop", f"still not done after {loop.most} iterations"))
        return
    at = f"{place}#{number}"
    if loop.while_ is not None and turn.render(at, "while", loop.while_) is not True:
        _loop_done(turn, place, number)
        return
    flow.begin(turn, at)


def _iteration_ended(turn: Turn, owner: str, number: int) -> None:
    step = turn.step(owner)
    loop = step.loop
    node = turn.node(f"{owner}#{number}")
    if loop is None or turn.node(owner).status != "open":
        return
    if node.status != "succeeded":
        flow.conclude(turn, owner, node.error or StepError("cancelled", "stopped"))
        return
    try:
        if loop.until is not None:
            template = turn.template(owner, "until", loop.until)
            look = look_from(turn, f"{owner}#{number}", {"output": node.output})
            if template.render(look) is True:
                _loop_done(turn, owner, number + 1)
                return
        if loop.pause and number + 1 < loop.most:
            turn.emit(StepWaiting(f"{owner}#{number + 1}", "the pause of a loop", turn.now))
            due = StepDue(f"{owner}#{number + 1}", "loop", number + 1)
            turn.out(Schedule(f"wait:{owner}#{number + 1}", due, after=loop.pause))
            return
        iterate(turn, owner, step, number + 1)
    except ExpressionError as error:
        flow.conclude(turn, owner, StepError("expression", f"loop: {error.message}"))


def paused_enough(turn: Turn, place: str) -> None:
    """The pause before an iteration is over."""
    found = repeats(place)
    if found is not None and turn.node(place).status == "waiting":
        owner, _, number = found
        iterate(turn, owner, turn.step(owner), number)


def _loop_done(turn: Turn, place: str, count: int) -> None:
    last = turn.node(f"{place}#{count - 1}") if count else None
    flow.conclude(turn, place, last.output if last is not None else None)
