"""What changed between two states, as a list of places: `balance 5 → 8`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, cast

import msgspec


class Change(msgspec.Struct, frozen=True):
    """One place that differs. `path` reads like `items[2].price`; empty for the whole. `before` and `after` are
    JSON-ready values, None for the side on which it is missing."""

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Any = None
    after: Any = None


def difference(before: Any, after: Any) -> list[Change]:
    """The places where two JSON-ready values differ, in order of the keys of `after`, then what was removed.

    Lists are compared place by place, after what they have in common at either end is left out: so a value put in the
    front, or taken from the middle, is one change.
    """
    return list(_differ("", before, after))


def _differ(path: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _differ_objects(path, cast(dict[str, Any], before), cast(dict[str, Any], after))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _differ_lists(path, cast(list[Any], before), cast(list[Any], after))
    elif not same(before, after):
        yield Change(path, "changed", before, after)


def _differ_objects(path: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    for key, value in after.items():
        place = f"{path}.{key}" if path else key
        if key in before:
            yield from _differ(place, before[key], value)
        else:
            yield Change(place, "added", None, value)
    for key, value in before.items():
        if key not in after:
            yield Change(f"{path}.{key}" if path else key, "removed", value)


def _differ_lists(path: str, before: list[Any], after: list[Any]) -> Iterator[Change]:
    shorter = min(len(before), len(after))
    start = 0
    while start < shorter and same(before[start], after[start]):
        start += 1
    end = 0
    while end < shorter - start and same(before[-1 - end], after[-1 - end]):
        end += 1
    left, right = before[start : len(before) - end], after[start : len(after) - end]
    for index in range(max(len(left), len(right))):
        place = f"{path}[{start + index}]"
        if index >= len(left):
            yield Change(place, "added", None, right[index])
        elif index >= len(right):
            yield Change(place, "removed", left[index])
        else:
            yield from _differ(place, left[index], right[index])


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values: unlike Python's, 1 is not true and 1 is not 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        left, right = cast(dict[str, Any], one), cast(dict[str, Any], other)
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(one, list):
        left, right = cast(list[Any], one), cast(list[Any], other)
        return len(left) == len(right) and all(map(same, left, right))
    return bool(one == other)


def told(change: Change) -> str:
    """A change in one line."""

    def value(it: Any) -> str:
        text = msgspec.json.encode(it).decode()
        return text if len(text) <= 80 else text[:79] + "…"

    match change.kind:
        case "added":
            return f"+ {change.path or '.'} = {value(change.after)}"
        case "removed":
            return f"- {change.path or '.'} was {value(change.before)}"
        case _:
            return f"~ {change.path or '.'}: {value(change.before)} → {value(change.after)}"
