"""GET /v1/assets: what steps made, out of what, and whether it would be made anew."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from actors.asset import asset_address
from actors.workflows.fingerprints import components, explain_stale
from actors.workflows.index import Index
from actors.workflows.places import in_plan
from actors.workflows.plan import Plan
from events.errors import NotFound, Refused
from gateway.http.asking import caught_up, limit, one, page
from gateway.http.route import Call, answer
from projections.assets import MAX_NODES, PROJECTION, asset_lineage, version_of
from projections.core.definition import Row
from projections.core.query import Filter, Order, Query

DEEPEST = 50
"""Assets made from assets that are looked at for staleness."""

SHOWN = 100


async def list_assets(call: Call) -> web.Response:
    """Assets in their newest version, by name."""
    where = [] if call.query.asset is None else [Filter("asset", "=", call.query.asset)]
    order = [Order("asset"), Order("key")]
    found = await page(call, PROJECTION.name, Query(call.tenant, "assets", where, order, limit(call), call.query.after))
    rows = [{name: value for name, value in row.items() if name != "tenant"} for row in found.rows]
    return answer({"assets": rows, "next": found.next, "position": found.cursor})


async def show(call: Call) -> web.Response:
    """A version of an asset."""
    address = await _address(call)
    row = await version_of(call.door.models, call.tenant, address, call.query.version)
    query = Query(
        call.tenant, "asset_versions", [Filter("address", "=", address)], [Order("version", descending=True)], SHOWN
    )
    versions = [other["version"] for other in (await call.door.models.query(PROJECTION.name, query)).rows]
    return answer({**{name: value for name, value in row.items() if name != "tenant"}, "versions": versions})


async def lineage(call: Call) -> web.Response:
    """What a version was made from, and what was made from it."""
    address = await _address(call)
    nodes = min(call.query.limit or MAX_NODES, MAX_NODES)
    found = await asset_lineage(call.door.models, call.tenant, address, call.query.version, nodes)
    out = msgspec.to_builtins(found)
    return answer({**{name: out[name] for name in ("asset", "up", "down", "truncated")}, "position": found.cursor})


async def stale(call: Call) -> web.Response:
    """Whether it would be made anew, and the first thing that differs."""
    row = await version_of(call.door.models, call.tenant, await _address(call))
    return answer(await _stale(call, row, {row["address"]}))


async def _stale(call: Call, row: Row, seen: set[str]) -> dict[str, Any]:
    out: dict[str, Any] = {"address": row["address"], "version": row["version"], "because": []}
    if row["blocked"]:
        return {**out, "stale": True, "why": f"its check {row['blocked']!r} failed"}
    try:
        plan = await _plan(call, row["workflow"])
    except (NotFound, Refused):
        return {**out, "stale": True, "why": f"workflow {row['workflow']!r} is not there any more"}
    step = Index(plan).steps.get(in_plan(row["step"]))
    if step is None:
        return {**out, "stale": True, "why": f"the workflow has no step {in_plan(row['step'])!r} any more"}
    if step.volatile:
        return {**out, "stale": True, "why": "its step is volatile: it runs every time"}
    consumed: dict[str, str] = {}
    because: list[dict[str, Any]] = []
    for name in step.consumes:
        address = _plain(asset_address(name))
        found = await one(call, PROJECTION.name, "assets", address=address)
        if found is None:
            continue  # made with keys, or never: nothing is known without a run
        consumed[name] = found["content"]
        if address not in seen and len(seen) < DEEPEST:
            seen.add(address)
            above = await _stale(call, await version_of(call.door.models, call.tenant, address), seen)
            if above["stale"]:
                because.append(above)
    why = explain_stale(row["components"], components(step, {}, consumed), partial=True)
    if not why and because:
        why = f"asset {because[0]['address']} is stale: {because[0]['why']}"
    return {**out, "stale": bool(why), "why": why, "because": because}


async def _plan(call: Call, workflow: str) -> Plan:
    """The newest plan of a workflow. Raises NotFound, Refused."""
    found = await call.door.client.query(call.tenant, f"workflow/{workflow}", "DescribeWorkflow", b"{}")
    return msgspec.json.decode(found, type=_Described).plan


class _Described(msgspec.Struct):
    plan: Plan


async def _address(call: Call) -> str:
    """The address of the asset that the path and the key name. Raises NotFound."""
    name: str = call.path("name")
    await caught_up(call, PROJECTION.name)
    tried = [_plain(asset_address(name, call.query.key))]
    if not call.query.key and name not in tried:
        tried.append(name)
    for address in tried:
        if await one(call, PROJECTION.name, "assets", address=address) is not None:
            return address
    keyed = await one(call, PROJECTION.name, "assets", asset=name)
    hint = "it is a keyed one: name its `key`" if keyed is not None else "`GET /v1/assets` lists them"
    raise NotFound(f"there is no asset {name!r}", hint=hint)


def _plain(address: str) -> str:
    return address.partition("/")[2]
