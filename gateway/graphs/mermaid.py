"""A graph as a Mermaid flowchart."""

from __future__ import annotations

from typing import Final

from gateway.graphs.layout import second_line
from gateway.graphs.model import Graph, Vertex
from gateway.graphs.svg import COLOURS

_SHAPES: Final = {"switch": ("{", "}"), "approval": ("{{", "}}"), "wait": ("([", "])"), "workflow": ("[[", "]]")}
_ARROWS: Final = {"needs": "-->", "chosen": "-.->", "catch": "-. catch .->", "finally": "-. finally .->"}


def mermaid(graph: Graph) -> str:
    """The text of a flowchart."""
    ids = {v.place: f"n{n}" for n, v in enumerate(graph.vertices)}
    inner: dict[str, list[Vertex]] = {}
    for vertex in graph.vertices:
        inner.setdefault(vertex.group, []).append(vertex)
    lines = ["flowchart TD"]

    def block(group: str, indent: str) -> None:
        for vertex in inner.get(group, ()):
            if vertex.holds:
                lines.append(f'{indent}subgraph {ids[vertex.place]}["{_text(vertex.label)}"]')
                block(vertex.place, f"{indent}  ")
                lines.append(f"{indent}end")
            else:
                opening, closing = _SHAPES.get(vertex.kind, ("[", "]"))
                label = f"{_text(vertex.label)}<br/>{_text(second_line(vertex))}"
                lines.append(f'{indent}{ids[vertex.place]}{opening}"{label}"{closing}')

    block("", "  ")
    lines += [f"  {ids[e.tail]} {_ARROWS[e.kind]} {ids[e.head]}" for e in graph.edges]
    statuses = sorted({v.status for v in graph.vertices if v.status in COLOURS})
    for status in statuses:
        lines.append(f"  classDef {status} stroke:{COLOURS[status]},stroke-width:3px")
        named = ",".join(ids[v.place] for v in graph.vertices if v.status == status)
        lines.append(f"  class {named} {status}")
    return "\n".join([*lines, ""])


def _text(text: str) -> str:
    """A label in quotes: what has a meaning to Mermaid or HTML as an entity."""
    return "".join(c if c.isalnum() or c in " ._-/@+·" else f"#{ord(c)};" for c in text)
