"""`thespis workflows graph path`."""

from __future__ import annotations

import click

from gateway.cli.graphing import graph_options, load, show
from gateway.cli.tree import command as thespis_command


@thespis_command()
@graph_options("list")
@click.argument("start")
@click.argument("end")
def command(
    start: str, end: str, workflow: str, run: str | None, output: str, url: str | None, data: str | None
) -> None:
    """Show a shortest way from START to END along what needs what."""
    from gateway.graphs import path

    graph = load(workflow, run, url, data)
    show(graph, path(graph, start, end), output)
