"""Questions about a graph: what a step depends on, what depends on it, how one leads to another. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from actors.workflows.definition.problems import nearest
from events.errors import InvalidData
from gateway.graphs.model import Edge, Graph


class Unknown(InvalidData):
    """There is no such step in the graph."""

    code = "unknown-step"


def find(graph: Graph, name: str) -> str:
    """The place of a step that is named by its place, or by its name when only one has it. Raises Unknown."""
    places = {v.place for v in graph.vertices}
    if name in places:
        return name
    named = [v.place for v in graph.vertices if v.label == name]
    if len(named) == 1:
        return named[0]
    if named:
        raise Unknown(f"{len(named)} steps are called {name!r}", hint=f"say which: {', '.join(named)}")
    produced = [v.place for v in graph.vertices if name in v.produces]
    if produced:
        return produced[0]
    raise Unknown(f"there is no step {name!r}", hint=nearest(name, places))


def dependencies(graph: Graph, name: str) -> list[str]:
    """Everything a step depends on, directly or not, in the graph's order. Raises Unknown."""
    return _reached(graph, find(graph, name), _links(graph, backwards=True))


def dependents(graph: Graph, name: str) -> list[str]:
    """Everything that depends on a step, directly or not, in the graph's order. Raises Unknown."""
    return _reached(graph, find(graph, name), _links(graph, backwards=False))


def impact(graph: Graph, names: Iterable[str]) -> list[str]:
    """What is to be done anew when these steps change: they, and all that depends on one of them. Raises Unknown."""
    links = _links(graph, backwards=False)
    found: set[str] = set()
    for name in names:
        place = find(graph, name)
        found |= {place, *_reached(graph, place, links)}
    return [v.place for v in graph.vertices if v.place in found]


def path(graph: Graph, start: str, end: str) -> list[str]:
    """A shortest way from one step to another along what depends on what; empty when there is none. Raises Unknown."""
    first, last = find(graph, start), find(graph, end)
    links = _links(graph, backwards=False)
    before: dict[str, str] = {first: ""}
    todo = deque([first])
    while todo and last not in before:
        place = todo.popleft()
        for following in links.get(place, ()):
            if following not in before:
                before[following] = place
                todo.append(following)
    found: list[str] = []
    place = last if last in before else ""
    while place:
        found.append(place)
        place = before[place]
    return found[::-1]


def focus(graph: Graph, places: Iterable[str]) -> Graph:
    """The graph of these steps alone, with the groups they stand in."""
    groups = {v.place: v.group for v in graph.vertices}
    kept: set[str] = set()
    for place in places:
        while place and place not in kept:
            kept.add(place)
            place = groups[place]
    return Graph(
        graph.name,
        tuple(v for v in graph.vertices if v.place in kept),
        tuple(e for e in graph.edges if e.tail in kept and e.head in kept),
    )


def _links(graph: Graph, *, backwards: bool) -> Mapping[str, list[str]]:
    """Which places are one step away. What is in a group also waits for what the group waits for, and it for them."""
    links: dict[str, list[str]] = {}
    edges: list[Edge] = [*graph.edges]
    for vertex in graph.vertices:
        if vertex.group:
            edges.append(Edge(vertex.place, vertex.group))
    into: dict[str, list[str]] = {}
    for vertex in graph.vertices:
        if vertex.group:
            into.setdefault(vertex.group, []).append(vertex.place)
    for edge in graph.edges:
        todo = list(into.get(edge.head, ()))
        while todo:
            inner = todo.pop(0)
            edges.append(Edge(edge.tail, inner))
            todo.extend(into.get(inner, ()))
    for edge in edges:
        a, b = (edge.head, edge.tail) if backwards else (edge.tail, edge.head)
        links.setdefault(a, []).append(b)
    return links


def _reached(graph: Graph, start: str, links: Mapping[str, list[str]]) -> list[str]:
    seen = {start}
    todo = [start]
    while todo:
        for following in links.get(todo.pop(), ()):
            if following not in seen:
                seen.add(following)
                todo.append(following)
    seen.discard(start)
    return [v.place for v in graph.vertices if v.place in seen]
