"""`thespis workflows graph rdeps`."""

from __future__ import annotations

import click

from gateway.cli.graphing import graph_options, load, show
from gateway.cli.tree import command as thespis_command


@thespis_command()
@graph_options("list")
@click.argument("step")
def command(step: str, workflow: str, run: str | None, output: str, url: str | None, data: str | None) -> None:
    """List what depends on STEP, directly or not; drawn, STEP is among them."""
    from gateway.graphs import dependents, find

    graph = load(workflow, run, url, data)
    places = dependents(graph, step)
    show(graph, places if output == "list" else [*places, find(graph, step)], output)
