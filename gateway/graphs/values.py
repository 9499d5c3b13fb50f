"""A drawing as JSON-ready values, with coordinates."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.graphs.layout import Drawing


def as_json(drawing: Drawing) -> dict[str, Any]:
    """`nodes` with x, y, width, height in pixels (y downwards), `edges` with the points they pass."""
    nodes = [
        {**msgspec.to_builtins(b.vertex), "x": b.x, "y": b.y, "width": b.width, "height": b.height}
        for b in drawing.boxes
    ]
    edges = [
        {"tail": r.edge.tail, "head": r.edge.head, "kind": r.edge.kind, "points": [list(p) for p in r.points]}
        for r in drawing.routes
    ]
    return {
        "name": drawing.name,
        "width": drawing.width,
        "height": drawing.height,
        "crossings": drawing.crossings,
        "nodes": nodes,
        "edges": edges,
    }
