"""Assets: what steps made, version by version, out of what, and with which checks; walks up and down between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec

from events.assets import ASSET_EVENTS, AssetChecked, AssetMaterialised, AssetReused
from events.envelope import Event
from events.errors import NotFound
from projections.core.definition import Projection, Ref, Row, Table
from projections.core.port import ReadModelStore
from projections.core.query import MAX_LIMIT, Filter, Order, Query
from projections.core.rows import Rows
from projections.runs import plain
from projections.timeline import place, text

ASSETS: Final = Table(
    "assets",
    {
        "tenant": str,
        "address": str,
        "asset": str,
        "key": str,
        "version": int,
        "content": str,
        "at": int,
        "workflow": str,
        "run": str,
        "step": str,
        "blocked": str | None,
        "reused": int,
        "reused_at": int | None,
    },
    key=("tenant", "address"),
    indexes=[("asset", "tenant", "key")],
)
"""The newest version of each. `address` is the actor's without `asset/`; a keyed asset has one for each key. `reused`
is how often a step needed not run; `blocked` the blocking check that failed."""

VERSIONS: Final = Table(
    "asset_versions",
    {
        "tenant": str,
        "address": str,
        "version": int,
        "asset": str,
        "key": str,
        "content": str,
        "fingerprint": str,
        "at": int,
        "workflow": str,
        "definition": str,
        "run": str,
        "step": str,
        "attempt": int,
        "components": dict,
        "inputs": dict,
        "checks": list,
        "blocked": str | None,
        "reused": int,
    },
    key=("tenant", "address", "version"),
    indexes=[("run", "tenant"), ("asset", "content", "tenant")],
)

USES: Final = Table(
    "asset_uses",
    {"tenant": str, "input": str, "content": str, "address": str, "version": int},
    key=("tenant", "input", "content", "address", "version"),
)
"""Which versions were made out of which contents of which asset: `inputs`, the other way round."""

ASSET: Final = "asset "
"""Before the name of an asset among the inputs of a version."""

MAX_NODES: Final = 1_000


def keys(event: Event, data: Any) -> list[Ref]:
    """The asset and the version."""
    address = event.stream.partition("/")[2]
    return [(ASSETS, (event.tenant, address)), (VERSIONS, (event.tenant, address, data.version))]


def apply(rows: Rows, event: Event, data: Any) -> None:
    """A version, a check of it, or another use."""
    tenant, address = event.tenant, event.stream.partition("/")[2]
    newest = rows.get(ASSETS, tenant, address)
    if isinstance(data, AssetMaterialised):
        _made(rows, tenant, address, newest, data)
        return
    version = rows.get(VERSIONS, tenant, address, data.version)
    if version is None or newest is None:
        return
    if isinstance(data, AssetChecked):
        failed = text(data.name) if data.blocking and not data.passed else None
        version["checks"] = [*version["checks"], plain(msgspec.to_builtins(data))]
        version["blocked"] = version["blocked"] or failed
        if newest["version"] == data.version:
            newest["blocked"] = version["blocked"]
    elif isinstance(data, AssetReused):
        version["reused"] += 1
        newest["reused"] += 1
        newest["reused_at"] = data.at
    rows.put(VERSIONS, version)
    rows.put(ASSETS, newest)


def _made(rows: Rows, tenant: str, address: str, before: Row | None, e: AssetMaterialised) -> None:
    about = {
        "tenant": tenant,
        "address": address,
        "version": e.version,
        "asset": place(e.asset),
        "key": place(text(e.key)),
        "content": e.content,
        "at": e.at,
        "workflow": text(e.workflow),
        "run": place(e.run),
        "step": place(e.step),
        "blocked": None,
    }
    reused = {"reused": 0, "reused_at": None}
    if before is not None:
        reused = {"reused": before["reused"], "reused_at": before["reused_at"]}
    rows.put(ASSETS, {**about, **reused})
    rows.put(
        VERSIONS,
        {
            **about,
            "fingerprint": e.fingerprint,
            "definition": e.definition,
            "attempt": e.attempt,
            "components": plain(e.components),
            "inputs": plain(e.inputs),
            "checks": [],
            "reused": 0,
        },
    )
    for name, content in e.inputs.items():
        if name.startswith(ASSET):
            used = {"input": place(name.removeprefix(ASSET)), "content": content}
            rows.put(USES, {"tenant": tenant, **used, "address": address, "version": e.version})


PROJECTION = Projection(
    "assets",
    version=1,
    tables=[ASSETS, VERSIONS, USES],
    types=ASSET_EVENTS,
    keys=keys,
    apply=apply,
    reads=("tenant", "stream"),
)


class Node(msgspec.Struct, frozen=True):
    """A version in a lineage. `depth` is 0 for the one asked about, negative for what it was made from.

    `of` are the versions next to it, as `address@version`, towards the one asked about.
    """

    address: str
    version: int
    asset: str
    key: str
    content: str
    run: str
    step: str
    at: int
    depth: int
    of: list[str]
    inputs: dict[str, str]


class Lineage(msgspec.Struct, frozen=True):
    """A version, what it was made from (nearest first), what was made from it. `truncated`: a limit cut it."""

    asset: Node
    up: list[Node]
    down: list[Node]
    truncated: bool
    cursor: int


async def version_of(store: ReadModelStore, tenant: str, address: str, version: int | None = None) -> Row:
    """A version of an asset, the newest one when not named. Raises NotFound."""
    where = [Filter("address", "=", address)]
    if version is not None:
        where.append(Filter("version", "=", version))
    order = [Order("version", descending=True)]
    page = await store.query(PROJECTION.name, Query(tenant, VERSIONS.name, where, order, limit=1))
    if not page.rows:
        which = "" if version is None else f" in version {version}"
        raise NotFound(f"there is no asset {address!r}{which}", hint="`thespis assets list` lists them")
    return page.rows[0]


async def asset_lineage(
    store: ReadModelStore, tenant: str, address: str, version: int | None = None, nodes: int = MAX_NODES
) -> Lineage:
    """Walk from a version, at most `nodes` versions in each direction. Raises NotFound."""
    row = await version_of(store, tenant, address, version)
    start = _node(row, 0, [])
    page = await store.query(PROJECTION.name, Query(tenant, ASSETS.name, limit=1))
    up, cut_up = await _walk(store, tenant, row, -1, nodes)
    down, cut_down = await _walk(store, tenant, row, 1, nodes)
    return Lineage(start, up, down, cut_up or cut_down, page.cursor)


async def _walk(store: ReadModelStore, tenant: str, start: Row, step: int, nodes: int) -> tuple[list[Node], bool]:
    """Level by level, in one direction."""
    found: dict[str, Node] = {}
    level, depth = [start], 0
    seen = {_name(start)}
    while level:
        depth += step
        following: list[Row] = []
        for row in level:
            nearby = await (_sources if step < 0 else _results)(store, tenant, row)
            for other in nearby:
                name = _name(other)
                if name in found:
                    found[name].of.append(_name(row))
                elif name not in seen:
                    if len(found) >= nodes:
                        return list(found.values()), True
                    seen.add(name)
                    found[name] = _node(other, depth, [_name(row)])
                    following.append(other)
        level = following
    return list(found.values()), False


async def _sources(store: ReadModelStore, tenant: str, row: Row) -> list[Row]:
    """What a version was made from: of several versions with that content the one of its run, else the last before."""
    rows: list[Row] = []
    inputs = cast("dict[str, str]", row["inputs"])
    for name, content in inputs.items():
        if name.startswith(ASSET):
            where = [Filter("asset", "=", place(name.removeprefix(ASSET))), Filter("content", "=", content)]
            query = Query(tenant, VERSIONS.name, where, [Order("at", descending=True)], limit=MAX_LIMIT)
            versions = (await store.query(PROJECTION.name, query)).rows
            same_run = [v for v in versions if v["run"] == row["run"]]
            before = [v for v in versions if v["at"] <= row["at"]]
            rows += (same_run or before or versions)[:1]
    return rows


async def _results(store: ReadModelStore, tenant: str, row: Row) -> list[Row]:
    where = [Filter("input", "=", row["asset"]), Filter("content", "=", row["content"])]
    uses = (await store.query(PROJECTION.name, Query(tenant, USES.name, where, limit=MAX_LIMIT))).rows
    rows: list[Row] = []
    for addresses in _by_address(uses):
        first = addresses[0]["address"]
        wanted = [use["version"] for use in addresses]
        where = [Filter("address", "=", first), Filter("version", "in", wanted)]
        rows += (await store.query(PROJECTION.name, Query(tenant, VERSIONS.name, where, limit=MAX_LIMIT))).rows
    return rows


def _by_address(uses: Sequence[Row]) -> list[list[Row]]:
    found: dict[str, list[Row]] = {}
    for use in uses:
        found.setdefault(use["address"], []).append(use)
    return list(found.values())


def _name(row: Row) -> str:
    return f"{row['address']}@{row['version']}"


def _node(row: Row, depth: int, of: list[str]) -> Node:
    return Node(
        row["address"], row["version"], row["asset"], row["key"], row["content"], row["run"], row["step"], row["at"],
        depth, of, row["inputs"],
    )  # fmt: skip
