"""A projection of every kind of column, and short ways to fill its tables."""

from __future__ import annotations

from typing import Any

from projections import Comparison, Projection, Query, ReadModelStore, Switch, Table
from projections.core.port import Build, Commit
from projections.core.rows import Change

THINGS = Table(
    "things",
    {
        "tenant": str,
        "name": str,
        "size": int,
        "weight": float,
        "good": bool,
        "note": str | None,
        "rank": int | None,
        "blob": bytes,
        "extra": dict,
        "tags": list | None,
    },
    key=("tenant", "name"),
    indexes=[("tenant", "size"), ("tenant", "note")],
)
LOG = Table("log", {"tenant": str, "position": int, "text": str}, key=("tenant", "position"))
NAMES = Table("names", {"name": str}, key=("name",), shared=True)
NULLS: dict[str, Any] = {"note": None, "rank": None, "tags": None}


def things(version: int = 1, tables: tuple[Table, ...] = (THINGS, LOG, NAMES)) -> Projection:
    return Projection("things", version, tables=tables, every=True, apply=lambda rows, event, data: None)


def thing(name: str, **fields: Any) -> tuple[Any, ...]:
    row: dict[str, Any] = {
        "tenant": "default",
        "name": name,
        "size": 1,
        "weight": 0.5,
        "good": True,
        "note": None,
        "rank": None,
        "blob": b"\x00\xff",
        "extra": {"deep": [1, {"x": None}]},
        "tags": None,
    } | fields
    return tuple(row[c] for c in THINGS.columns)


def puts(*rows: tuple[Any, ...]) -> Change:
    return Change(THINGS.layout(), [], list(rows), [])


def inserts(*rows: tuple[Any, ...]) -> Change:
    return Change(LOG.layout(), list(rows), [], [])


async def opened(store: ReadModelStore, projection: Projection | None = None) -> Build:
    return (await store.open(projection or things()))[-1]


async def committed(store: ReadModelStore, build: Build, commit: Commit) -> Build:
    stored = await store.commit(build, commit)
    assert stored is not None
    return stored


def a_switch(live: Build, to: Build, id: str = "") -> Switch:
    return Switch(
        id or f"switch-{to.number}",
        live.projection,
        live.number,
        live.version,
        to.number,
        to.version,
        live.cursor,
        Comparison(live.cursor, True, 10, 1, examples=("things default/a",)),
        "ada",
        "better",
        1_700_000_000_000_000,
    )


async def switched(store: ReadModelStore, to: Build, declined: int = 0) -> bool:
    async with store.frozen(to.projection) as frozen:
        return await frozen.switch(to.number, a_switch(frozen.live, to), kept_until=77, declined=declined)


async def names(store: ReadModelStore, **query: Any) -> list[str]:
    page = await store.query("things", Query(query.pop("tenant", "default"), "things", **query))
    return [r["name"] for r in page.rows]
