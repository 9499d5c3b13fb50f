"""`thespis workflows graph show`."""

from __future__ import annotations

from gateway.cli.graphing import graph_options, load, show
from gateway.cli.tree import command as thespis_command


@thespis_command()
@graph_options("mermaid")
def command(workflow: str, run: str | None, output: str, url: str | None, data: str | None) -> None:
    """Draw the steps of a workflow, what they need, and with --run how far they are."""
    graph = load(workflow, run, url, data)
    show(graph, [vertex.place for vertex in graph.vertices], output)
