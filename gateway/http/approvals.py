"""GET /v1/approvals, and a person's yes or no: in the name of the token."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from actors.approval import Approve, Deny
from events.errors import NotFound
from gateway.http import body
from gateway.http.asking import ask, caught_up, limit, one, page
from gateway.http.context import REPLAYED
from gateway.http.models_approvals import ApproveIn, DenyIn
from gateway.http.route import Call, answer
from projections.core.query import Filter, Order, Query


async def list_approvals(call: Call) -> web.Response:
    """Approvals, newest first."""
    asked = call.query
    where: list[Filter] = []
    if asked.status is not None:
        where.append(Filter("status", "=", asked.status))
    if asked.run is not None:
        where.append(Filter("requested_by", "=", f"run/{asked.run}"))
    order = [Order("requested_at", descending=True)]
    found = await page(call, "approvals", Query(call.tenant, "approvals", where, order, limit(call), asked.after))
    return answer({"approvals": [_out(row) for row in found.rows], "next": found.next, "position": found.cursor})


async def show(call: Call) -> web.Response:
    """One approval."""
    return answer(_out(await _row(call)))


async def approve(call: Call) -> web.Response:
    """Agree, to the digest that was shown."""
    asked = await body.model(call, ApproveIn, optional=True)
    row = await _row(call)
    return await _decide(call, row, Approve(call.principal.name, asked.digest, asked.note))


async def deny(call: Call) -> web.Response:
    """Disagree: that settles it."""
    asked = await body.model(call, DenyIn, optional=True)
    row = await _row(call)
    return await _decide(call, row, Deny(call.principal.name, asked.note))


async def _decide(call: Call, row: dict[str, Any], data: Approve | Deny) -> web.Response:
    said = await ask(call, f"approval/{row['approval']}", data)
    return answer({**said, "approval": row["approval"]}, headers={REPLAYED: "true"} if said["duplicate"] else None)


async def _row(call: Call) -> dict[str, Any]:
    id = call.path("id")
    await caught_up(call, "approvals")
    row = await one(call, "approvals", "approvals", approval=id)
    if row is None:
        raise NotFound(f"there is no approval {id!r}", hint="`GET /v1/approvals` lists them")
    return row


def _out(row: dict[str, Any]) -> dict[str, Any]:
    out = {name: value for name, value in row.items() if name not in ("tenant", "what", "ref")}
    return {**out, "what": row["what"].get("value"), "step": row["ref"]}
