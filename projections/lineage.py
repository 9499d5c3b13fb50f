"""What caused what: every event with what it came from, and walks up and down from any of them, across actors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from events.envelope import Event
from events.errors import Conflict, InvalidData, NotFound
from projections.core.definition import Projection, Row, Table
from projections.core.port import ReadModelStore
from projections.core.query import MAX_LIMIT, Filter, Order, Query
from projections.core.rows import Rows

LINEAGE = Table(
    "lineage",
    {
        "tenant": str,
        "position": int,
        "id": str,
        "ce_id": str,
        "parent": str,
        "correlation": str,
        "stream": str,
        "version": int,
        "type": str,
        "time": int,
    },
    key=("tenant", "position"),
    indexes=[("id", "tenant"), ("ce_id", "tenant"), ("parent", "tenant", "position")],
)
"""`id` is the log's: `source id` for an event from outside, whose own CloudEvent id is `ce_id`. `parent` is the id of
the event it came from, or of the message when that came from outside."""

MAX_DEPTH: Final = 10_000
MAX_NODES: Final = 10_000


def apply(rows: Rows, event: Event, data: Any) -> None:
    """One row per event."""
    rows.insert(
        LINEAGE,
        {
            "tenant": event.tenant,
            "position": event.position,
            "id": event.id,
            "ce_id": event.id.partition(" ")[2] or event.id,
            "parent": event.causation,
            "correlation": event.correlation,
            "stream": event.stream,
            "version": event.version,
            "type": event.type,
            "time": event.recorded_at,
        },
    )


PROJECTION = Projection(
    "lineage",
    version=1,
    tables=[LINEAGE],
    every=True,
    apply=apply,
    reads=("tenant", "stream", "version", "id", "type", "causation", "correlation", "recorded_at"),
)


class Node(msgspec.Struct, frozen=True):
    """An event in a lineage. `depth` is 0 for the one asked about, negative for causes, positive for effects.

    `parent` is the id of the event it came from, or of the message from outside.
    """

    id: str
    parent: str
    depth: int
    position: int
    stream: str
    version: int
    type: str
    correlation: str
    time: int


class Lineage(msgspec.Struct, frozen=True):
    """An event, what led to it (nearest first), what came of it (by depth, then position).

    `roots` are the causes that no event in the log explains: where it all began. `truncated` says that a limit cut
    the walk short. `cursor` is how far the log was folded.
    """

    event: Node
    up: list[Node]
    down: list[Node]
    roots: list[Node]
    truncated: bool
    cursor: int


async def lineage(
    store: ReadModelStore,
    tenant: str,
    id: str,
    *,
    source: str | None = None,
    up: int = 1_000,
    down: int = 1_000,
    nodes: int = 1_000,
) -> Lineage:
    """Walk from an event, `up` and `down` that many steps, at most `nodes` events in each direction.

    `id` is the log's, or a CloudEvent id with its `source` (which may be left out when only one event has that id).
    Raises NotFound, Conflict when the id alone is ambiguous, InvalidData for limits out of range.
    """
    for name, value, most in (("up", up, MAX_DEPTH), ("down", down, MAX_DEPTH), ("nodes", nodes, MAX_NODES)):
        if not 0 <= value <= most:
            raise InvalidData(f"{name}={value} is out of range", hint=f"0 to {most}")
    row, cursor = await _find(store, tenant, id, source)
    start = _node(row, 0)
    above, cut_above = await _up(store, tenant, start, up, nodes)
    below, cut_below = await _down(store, tenant, start, down, nodes)
    known = {n.id for n in (start, *above)}
    roots = [] if cut_above else [n for n in (start, *above) if n.parent not in known or n.parent == n.id]
    return Lineage(start, above, below, roots, cut_above or cut_below, cursor)


async def _find(store: ReadModelStore, tenant: str, id: str, source: str | None) -> tuple[Row, int]:
    if source is not None:
        rows, cursor = await _rows(store, tenant, "id", [f"{source} {id}", id])
        rows = [r for r in rows if r["id"] != id or source == f"/{tenant}/{r['stream']}"]
    else:
        rows, cursor = await _rows(store, tenant, "id", [id])
        if not rows:
            rows, cursor = await _rows(store, tenant, "ce_id", [id])
    if not rows:
        raise NotFound(f"there is no event {id!r} among the {cursor} folded so far")
    if len(rows) > 1:
        sources = ", ".join(sorted({r["id"].partition(" ")[0] for r in rows})[:5])
        raise Conflict(f"{len(rows)} events have id {id!r}", hint=f"say which source: {sources}")
    return rows[0], cursor


async def _up(store: ReadModelStore, tenant: str, start: Node, depth: int, nodes: int) -> tuple[list[Node], bool]:
    found: list[Node] = []
    seen = {start.id}
    node = start
    while node.parent and node.parent not in seen:
        if len(found) >= min(depth, nodes):
            rows, _ = await _rows(store, tenant, "id", [node.parent])
            return found, bool(rows)
        rows, _ = await _rows(store, tenant, "id", [node.parent])
        if not rows:
            break
        node = _node(rows[0], node.depth - 1)
        seen.add(node.id)
        found.append(node)
    return found, False


async def _down(store: ReadModelStore, tenant: str, start: Node, depth: int, nodes: int) -> tuple[list[Node], bool]:
    found: list[Node] = []
    seen = {start.id}
    level = [start.id]
    for step in range(1, depth + 1):
        rows, _ = await _rows(store, tenant, "parent", level, nodes - len(found) + 1)
        fresh = [_node(r, step) for r in rows if r["id"] not in seen]
        if len(found) + len(fresh) > nodes:
            return found + fresh[: nodes - len(found)], True
        if not fresh:
            return found, False
        seen.update(n.id for n in fresh)
        found += fresh
        level = [n.id for n in fresh]
    rows, _ = await _rows(store, tenant, "parent", level, 1)
    return found, any(r["id"] not in seen for r in rows)


async def _rows(
    store: ReadModelStore, tenant: str, column: str, values: Sequence[str], most: int = MAX_LIMIT
) -> tuple[list[Row], int]:
    """Up to `most` rows with one of the values, by position."""
    found: list[Row] = []
    cursor = 0
    for some in _portions(values):
        place: str | None = None
        while len(found) < most:
            page = await store.query(
                PROJECTION.name,
                Query(
                    tenant,
                    where=[Filter(column, "in", some)],
                    order=[Order("position")],
                    limit=min(MAX_LIMIT, most - len(found)),
                    after=place,
                ),
            )
            found += page.rows
            cursor, place = page.cursor, page.next
            if place is None:
                break
    return sorted(found, key=_position), cursor


def _portions(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[i : i + MAX_LIMIT] for i in range(0, len(values), MAX_LIMIT))


def _position(row: Row) -> int:
    return row["position"]


def _node(row: Row, depth: int) -> Node:
    return Node(
        row["id"],
        row["parent"],
        depth,
        row["position"],
        row["stream"],
        row["version"],
        row["type"],
        row["correlation"],
        row["time"],
    )
