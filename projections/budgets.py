"""Budgets: what may be spent, is spent in the period under way, and is set aside for calls that are made now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from events.agents import BUDGET_EVENTS, BudgetRefused, BudgetReserved, BudgetSet, BudgetSettled
from events.envelope import Event
from projections.core.definition import Projection, Ref, Row, Table
from projections.core.rows import Rows
from projections.sums import minus, plus
from projections.timeline import text

BUDGETS: Final = Table(
    "budgets",
    {
        "tenant": str,
        "budget": str,
        "scope": str,
        "id": str,
        "usd": str | None,
        "period": str,
        "window": str,
        "spent": str,
        "reserved": str,
        "calls": int,
        "refused": int,
        "refused_at": int | None,
        "changed_at": int,
        "by": str | None,
        "position": int,
    },
    key=("tenant", "budget"),
    indexes=[("scope", "tenant", "id")],
)
"""`usd` is None without a limit. `spent` and `reserved` are exact decimals; `window` is the day or month (UTC) that
`spent` is of. `calls` were settled and `refused` not let in, ever."""


def keys(event: Event, data: Any) -> list[Ref]:
    """The budget."""
    return [(BUDGETS, (event.tenant, event.stream.partition("/")[2]))]


def apply(rows: Rows, event: Event, data: Any) -> None:
    """What the event makes of it."""
    name = event.stream.partition("/")[2]
    row = rows.get(BUDGETS, event.tenant, name) or _new(event, name)
    match data:
        case BudgetSet():
            if data.period != row["period"]:
                row["window"] = window_of(data.period, data.at)
            row.update(usd=data.usd, period=data.period, by=text(data.by) or None)
            _turn(row, data.at)
        case BudgetReserved():
            _turn(row, data.at)
            row["reserved"] = plus(row["reserved"], data.usd)
        case BudgetRefused():
            row.update(refused=row["refused"] + 1, refused_at=data.at)
        case BudgetSettled():
            _turn(row, data.at)
            row["reserved"] = minus(row["reserved"], data.freed or "0")
            row["spent"] = minus(plus(row["spent"], data.usd), data.instead or "0")
            row["calls"] += not data.instead
        case _:
            return
    row.update(changed_at=data.at, position=event.position)
    rows.put(BUDGETS, row)


def window_of(period: str, at: int) -> str:
    """The day or the month (UTC) of a time in µs; "" when there is only one."""
    if period == "total":
        return ""
    return datetime.fromtimestamp(at // 1_000_000, UTC).strftime("%Y-%m-%d" if period == "day" else "%Y-%m")


def _turn(row: Row, at: int) -> None:
    """A new day or month begins with nothing spent. Hosts' clocks differ: it never goes back."""
    window = window_of(row["period"], at)
    if window > row["window"]:
        row.update(window=window, spent="0")


def _new(event: Event, name: str) -> Row:
    scope, _, id = name.partition(".")
    return {
        "tenant": event.tenant,
        "budget": name,
        "scope": scope,
        "id": id,
        "usd": None,
        "period": "total",
        "window": "",
        "spent": "0",
        "reserved": "0",
        "calls": 0,
        "refused": 0,
        "refused_at": None,
        "changed_at": 0,
        "by": None,
        "position": event.position,
    }


PROJECTION = Projection(
    "budgets",
    version=1,
    tables=[BUDGETS],
    types=BUDGET_EVENTS,
    keys=keys,
    apply=apply,
    reads=("tenant", "stream"),
)
