"""A graph in the DOT language of Graphviz."""

from __future__ import annotations

from typing import Final

from gateway.graphs.layout import second_line
from gateway.graphs.model import Graph, Vertex
from gateway.graphs.svg import COLOURS

_STYLES: Final = {"needs": "", "chosen": " [style=dashed]", "catch": " [style=dotted, color=red]",
                  "finally": " [style=dotted]"}  # fmt: skip


def dot(graph: Graph) -> str:
    """The text of a digraph; groups are clusters, and an edge to a group ends at its border."""
    inner: dict[str, list[Vertex]] = {}
    for vertex in graph.vertices:
        inner.setdefault(vertex.group, []).append(vertex)
    lines = [
        f"digraph {_text(graph.name)} {{", "  compound=true;",
        '  node [shape=box, style="rounded", fontname="Helvetica"];',
    ]  # fmt: skip

    def block(group: str, indent: str) -> None:
        for vertex in inner.get(group, ()):
            colour = f", color={_text(COLOURS[vertex.status])}" if vertex.status in COLOURS else ""
            if vertex.holds:
                lines.append(f"{indent}subgraph {_text(f'cluster {vertex.place}')} {{")
                lines.append(f"{indent}  label={_text(vertex.label)};")
                # An edge needs a vertex to end at.
                lines.append(f"{indent}  {_text(vertex.place)} [shape=point, style=invis];")
                block(vertex.place, f"{indent}  ")
                lines.append(f"{indent}}}")
            else:
                label = _text(f"{vertex.label}\n{second_line(vertex)}")
                lines.append(f"{indent}{_text(vertex.place)} [label={label}{colour}];")

    block("", "  ")
    lines += [f"  {_text(e.tail)} -> {_text(e.head)}{_STYLES[e.kind]};" for e in graph.edges]
    return "\n".join([*lines, "}", ""])


def _text(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{quoted}"'
