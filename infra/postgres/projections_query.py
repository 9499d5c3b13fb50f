"""Checked queries as SQL: one statement reads a build's rows and its cursor in one snapshot."""

from __future__ import annotations

from typing import Any

from infra.postgres.projections_tables import TYPES, full_name
from projections.core.query import Checked, Filter, Order


class _Values:
    """Parameters, numbered as they are used."""

    def __init__(self, *first: Any) -> None:
        self.all = list(first)

    def add(self, value: Any, type_: str) -> str:
        self.all.append(value)
        return f"${len(self.all)}::{type_}"


def query_sql(projection: str, number: int, checked: Checked, live: bool = True) -> tuple[str, list[Any]]:
    """SQL and parameters. It gives (cursor, version, state, whether there is a row, the columns …), at most limit + 1.

    No row at all means that the build is not there any more or, if it has to be, not `live`.
    """
    layout = checked.layout
    values = _Values(projection, number)
    kinds = {c.name: TYPES[c.kind] for c in layout.columns}
    nulls = {c.name: c.null for c in layout.columns}
    conditions = [_condition(f, kinds, values) for f in checked.where]
    if checked.place is not None:
        conditions.append(_beyond(checked.order, checked.place, kinds, nulls, values))
    columns = ", ".join(f't."{c.name}"' for c in layout.columns)
    order = ", ".join(f't."{o.column}"{" desc" if o.descending else ""}' for o in checked.order)
    where = f" where {' and '.join(conditions)}" if conditions else ""
    only_live = " and state = 'live'" if live else ""
    sql = (
        "with b as (select cursor, version, state from thespis.projection_builds"
        f" where projection = $1 and number = $2{only_live})"
        f" select b.cursor, b.version, b.state, t.found, {columns} from b left join lateral (select true as found, t.*"
        f" from {full_name(projection, number, layout.name)} t{where} order by {order}"
        f" limit {checked.limit + 1} offset {checked.offset}) t on true order by {order}"
    )
    return sql, values.all


def _condition(item: Filter, kinds: dict[str, str], values: _Values) -> str:
    column, kind = f't."{item.column}"', kinds[item.column]
    match item.op:
        case "=":
            return f"{column} is null" if item.value is None else f"{column} = {values.add(item.value, kind)}"
        case "!=":
            if item.value is None:
                return f"{column} is not null"
            return f"{column} is distinct from {values.add(item.value, kind)}"
        case "in":
            return f"{column} = any({values.add(item.value, kind + '[]')})"
        case "^=":
            # The range is what an index can use; it ends before the next text that does not begin like this.
            begins = f"starts_with({column}, {values.add(item.value, kind)})"
            return f"{column} >= {values.add(item.value, kind)} and {begins}" if item.value else begins
        case "*=":
            return f"strpos({column}, {values.add(item.value, kind)}) > 0"
        case _:
            return f"{column} {item.op} {values.add(item.value, kind)}"


def _beyond(
    order: tuple[Order, ...], place: tuple[Any, ...], kinds: dict[str, str], nulls: dict[str, bool], values: _Values
) -> str:
    """Rows after a place in the order. Empty values are larger than all others."""
    falling = {o.descending for o in order}
    if len(falling) == 1 and not any(nulls[o.column] for o in order):
        names = ", ".join(f't."{o.column}"' for o in order)
        given = ", ".join(values.add(v, kinds[o.column]) for o, v in zip(order, place, strict=True))
        return f"({names}) {'<' if falling.pop() else '>'} ({given})"
    choices: list[str] = []
    same: list[str] = []
    for item, value in zip(order, place, strict=True):
        column, kind = f't."{item.column}"', kinds[item.column]
        if value is None:
            beyond = f"{column} is not null" if item.descending else "false"
            equal = f"{column} is null"
        else:
            given = values.add(value, kind)
            beyond = f"{column} < {given}" if item.descending else f"({column} > {given} or {column} is null)"
            equal = f"{column} = {given}"
        choices.append(" and ".join([*same, beyond]))
        same.append(equal)
    return "(" + " or ".join(f"({c})" for c in choices) + ")"
