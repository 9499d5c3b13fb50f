"""Where everything in a drawing stands: each block is laid out by itself, and is one box in the block around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.graphs.layers import Layered
from gateway.graphs.model import Edge, Graph, Vertex
from gateway.graphs.places import places
from gateway.graphs.text import short, width

GAP: Final = 28
"""Pixels between neighbours in a layer."""
RISE: Final = 52
"""Pixels between layers."""
MARGIN: Final = 16
"""Pixels around a drawing, and within a group's box."""
TITLE: Final = 22
"""Pixels for the name of a group."""
HEIGHT: Final = 44
THIN: Final = 6
"""Pixels of the space a long edge takes where it passes a layer."""
LABEL_SIZE: Final = 13
DETAIL_SIZE: Final = 11


class Box(msgspec.Struct, frozen=True):
    """Where a vertex stands; x and y are its upper left corner, in pixels, y downwards."""

    vertex: Vertex
    x: int
    y: int
    width: int
    height: int


class Route(msgspec.Struct, frozen=True):
    """The way of an edge: from the first point to the second in a curve, to the third in a straight line, and so on."""

    edge: Edge
    points: tuple[tuple[int, int], ...]


class Drawing(msgspec.Struct, frozen=True):
    """A graph with coordinates. Boxes of groups come before what is in them. `crossings` of edges, in all blocks."""

    name: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]
    crossings: int


class _Laid(msgspec.Struct):
    """A block laid out, from (0, 0)."""

    width: int
    height: int
    boxes: list[Box]
    routes: list[Route]
    crossings: int


def lay_out(graph: Graph) -> Drawing:
    """Lay out a graph: the same bytes for the same graph, everywhere."""
    inner: dict[str, list[Vertex]] = {}
    group_of: dict[str, str] = {}
    for vertex in graph.vertices:
        inner.setdefault(vertex.group, []).append(vertex)
        group_of[vertex.place] = vertex.group
    edges: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        edges.setdefault(group_of[edge.tail], []).append(edge)
    laid = _block("", inner, edges)
    boxes = tuple(_moved(box, MARGIN, MARGIN) for box in laid.boxes)
    routes = tuple(Route(r.edge, tuple((x + MARGIN, y + MARGIN) for x, y in r.points)) for r in laid.routes)
    return Drawing(graph.name, laid.width + 2 * MARGIN, laid.height + 2 * MARGIN, boxes, routes, laid.crossings)


def size_of(vertex: Vertex) -> tuple[int, int]:
    """Width and height of a step's box."""
    label = width(short(vertex.label), LABEL_SIZE)
    detail = width(short(second_line(vertex)), DETAIL_SIZE)
    return max(label, detail, 48) + 28, HEIGHT


def second_line(vertex: Vertex) -> str:
    """What is said below the name."""
    return " · ".join([vertex.detail or vertex.kind, *vertex.marks])


def _block(group: str, inner: dict[str, list[Vertex]], edges: dict[str, list[Edge]]) -> _Laid:
    vertices = inner.get(group, [])
    number = {v.place: n for n, v in enumerate(vertices)}
    held = {v.place: _block(v.place, inner, edges) for v in vertices if v.holds}
    sizes = [_with_title(v, held[v.place]) if v.holds else size_of(v) for v in vertices]
    links = list(dict.fromkeys((number[e.tail], number[e.head]) for e in edges.get(group, ())))
    layered = Layered(len(vertices), _sorted(links, len(vertices)))
    crossings = layered.untangle()
    widths = [*(float(w) for w, _ in sizes), *([float(THIN)] * (len(layered.layer) - len(vertices)))]
    middles = places(layered.layers, layered.up, layered.down, widths, GAP, len(vertices))
    tops, heights, y = list[int](), list[int](), 0
    for layer in layered.layers:
        tops.append(y)
        heights.append(max((sizes[v][1] for v in layer if v < len(vertices)), default=0))
        y += heights[-1] + RISE
    boxes: list[Box] = []
    routes: list[Route] = []
    total = 0
    for n, vertex in enumerate(vertices):
        w, h = sizes[n]
        layer = layered.layer[n]
        box = Box(vertex, int(middles[n] - w / 2 + 0.5), tops[layer] + (heights[layer] - h) // 2, w, h)
        boxes.append(box)
        total = max(total, box.x + w)
        if vertex.holds:
            within = held[vertex.place]
            dx, dy = box.x + MARGIN + (w - 2 * MARGIN - within.width) // 2, box.y + TITLE + MARGIN // 2
            boxes += [_moved(b, dx, dy) for b in within.boxes]
            routes += [Route(r.edge, tuple((px + dx, py + dy) for px, py in r.points)) for r in within.routes]
            crossings += within.crossings
    by_place = {b.vertex.place: b for b in boxes}
    for edge in edges.get(group, ()):
        tail, head = by_place[edge.tail], by_place[edge.head]
        points = [(tail.x + tail.width // 2, tail.y + tail.height)]
        for dummy in layered.chains[number[edge.tail], number[edge.head]] or ():
            layer, x = layered.layer[dummy], int(middles[dummy] + 0.5)
            points += [(x, tops[layer]), (x, tops[layer] + heights[layer])]
            total = max(total, x + THIN)
        points.append((head.x + head.width // 2, head.y))
        routes.append(Route(edge, tuple(points)))
    return _Laid(total, max(y - RISE, 0), boxes, routes, crossings)


def _sorted(links: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """The links of a block; its vertices stand in topological order, so every one points forward."""
    assert all(0 <= tail < head < count for tail, head in links)
    return sorted(links)


def _with_title(vertex: Vertex, within: _Laid) -> tuple[int, int]:
    title = width(short(vertex.label), LABEL_SIZE) + width(second_line(vertex), DETAIL_SIZE) + 24
    return max(within.width + 2 * MARGIN, title), within.height + TITLE + MARGIN + MARGIN // 2


def _moved(box: Box, dx: int, dy: int) -> Box:
    return Box(box.vertex, box.x + dx, box.y + dy, box.width, box.height)
