"""GET /v1/costs: what model calls cost, summed exactly by whatever is asked for; and budgets."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import msgspec
from aiohttp import web

from actors.agents.messages import SetBudget
from events.address import address
from events.errors import InvalidData
from events.models import Price, Usage
from gateway.http import body
from gateway.http.asking import ask, caught_up, limit, page
from gateway.http.context import REPLAYED
from gateway.http.models_agents import SetBudgetIn
from gateway.http.route import Call, answer
from projections.core.definition import Row
from projections.core.query import MAX_LIMIT, Filter, Order, Query
from projections.costs import GROUPINGS, repriced, summed

MOST: Final = 200_000
"""Calls that one request sums."""

SCOPES: Final = ("tenant", "agent", "conversation", "cause")


async def show(call: Call) -> web.Response:
    """Costs by group, and in all."""
    asked = call.query
    by = [name.strip() for name in asked.by.split(",") if name.strip()]
    for name in by:
        if name not in GROUPINGS:
            raise InvalidData(f"costs are not summed by {name[:40]!r}", hint=f"only by {', '.join(GROUPINGS)}")
    rows, position = await _rows(call)
    if asked.prices == "current":
        rows = repriced(rows, partial(_listed, call))
    (total,) = summed(rows)
    groups = [_group(found, total) for found in summed(rows, by)] if by else []
    return answer({"by": by, "prices": asked.prices, "groups": groups, "total": total, "position": position})


def _listed(call: Call, row: Row) -> Price | None:
    """The price of a call's model now."""
    known = None if row["price"] is None else msgspec.convert(row["price"], Price)
    tier = msgspec.convert(row["usage"], Usage).raw.get("service_tier") or ""
    return call.door.price(row["model"], known, str(tier))


def _group(found: Row, total: Row) -> dict[str, Any]:
    return {
        "group": {name: value for name, value in found.items() if name not in total},
        **{name: found[name] for name in total},
    }


async def _rows(call: Call) -> tuple[list[Row], int]:
    """The calls asked for, and how far into the log they are."""
    asked = call.query
    where = [
        Filter(name, "=", value)
        for name in ("agent", "conversation", "cause", "model", "tool", "purpose")
        if (value := getattr(asked, name)) is not None
    ]
    where += [Filter("day", ">=", asked.since)] if asked.since else []
    where += [Filter("day", "<=", asked.until)] if asked.until else []
    await caught_up(call, "costs")
    query = Query(call.tenant, "costs", where, [Order("at")], MAX_LIMIT)
    rows: list[Row] = []
    while True:
        found = await call.door.models.query("costs", query)
        rows += found.rows
        if found.next is None:
            return rows, found.cursor
        if len(rows) >= MOST:
            raise InvalidData(f"there are more than {MOST:,} calls", hint="ask for fewer days with `from` and `to`")
        query = msgspec.structs.replace(query, after=found.next)


async def budgets(call: Call) -> web.Response:
    """Budgets by name."""
    asked = call.query
    where = [Filter("scope", "=", asked.scope)] if asked.scope is not None else []
    found = await page(
        call, "budgets", Query(call.tenant, "budgets", where, [Order("budget")], limit(call), asked.after)
    )
    hidden = ("tenant", "position")
    rows = [{name: value for name, value in row.items() if name not in hidden} for row in found.rows]
    return answer({"budgets": rows, "next": found.next})


async def set_budget(call: Call) -> web.Response:
    """Let so many dollars be spent in a scope."""
    asked = await body.model(call, SetBudgetIn)
    name = call.path("scope")
    scope, dot, id = name.partition(".")
    if scope not in SCOPES or not dot or not id:
        raise InvalidData(f"{name[:60]!r} is not a budget", hint=f"it is SCOPE.ID; scopes are {', '.join(SCOPES)}")
    if scope == "tenant" and id != call.tenant:
        raise InvalidData(f"your tenant is {call.tenant}, not {id[:40]}", hint=f"name tenant.{call.tenant}")
    said = await ask(call, address("budget", name), SetBudget(asked.usd, asked.period, call.principal.name))
    out = {"usd": asked.usd, "period": asked.period, **said, "budget": name}
    return answer(out, headers={REPLAYED: "true"} if said["duplicate"] else None)
