"""Queries over rows in memory. Text compares by code point, as the C collation of Postgres does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cmp_to_key
from typing import Any, Final

from projections.core.definition import Row
from projections.core.port import Build
from projections.core.query import Checked, Filter, Order, next_token

_TESTS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a is not None and a < b,
    "<=": lambda a, b: a is not None and a <= b,
    ">": lambda a, b: a is not None and a > b,
    ">=": lambda a, b: a is not None and a >= b,
    "^=": lambda a, b: a is not None and a.startswith(b),
    "*=": lambda a, b: a is not None and b in a,
    "in": lambda a, b: a in b,
}


def select(checked: Checked, rows: Iterable[Row], build: Build) -> tuple[list[Row], str | None]:
    """The page of rows a query asks for, and where the next one begins."""

    def compare(a: Row, b: Row) -> int:
        return _compare(checked.order, a, b)

    found = sorted((r for r in rows if _fits(r, checked.where)), key=cmp_to_key(compare))
    if checked.place is not None:
        place = dict(zip((o.column for o in checked.order), checked.place, strict=True))
        found = [r for r in found if _compare(checked.order, r, place) > 0]
    page = found[checked.offset : checked.offset + checked.limit]
    more = len(found) > checked.offset + checked.limit
    return page, next_token(checked, page[-1], build.number, build.version) if more else None


def _fits(row: Row, where: Iterable[Filter]) -> bool:
    return all(_TESTS[f.op](row[f.column], f.value) for f in where)


def _compare(order: Iterable[Order], a: Row, b: Row) -> int:
    for item in order:
        x, y = a[item.column], b[item.column]
        if x == y:
            continue
        larger = x is None or (y is not None and x > y)  # nothing is larger than an empty value
        return 1 if larger is not item.descending else -1
    return 0
