"""Graphs of plans and runs: what depends on what, drawn as SVG, Mermaid, DOT or JSON."""

from __future__ import annotations

from gateway.graphs.dot import dot
from gateway.graphs.layout import Drawing, lay_out
from gateway.graphs.mermaid import mermaid
from gateway.graphs.model import Edge, Graph, Vertex, graph_of
from gateway.graphs.queries import Unknown, dependencies, dependents, find, focus, impact, path
from gateway.graphs.svg import svg
from gateway.graphs.values import as_json

__all__ = [
    "Drawing",
    "Edge",
    "Graph",
    "Unknown",
    "Vertex",
    "as_json",
    "dependencies",
    "dependents",
    "dot",
    "find",
    "focus",
    "graph_of",
    "impact",
    "lay_out",
    "mermaid",
    "path",
    "svg",
]
