"""`thespis workflows graph impact`."""

from __future__ import annotations

import click

from gateway.cli.graphing import graph_options, load, show
from gateway.cli.tree import command as thespis_command


@thespis_command()
@graph_options("list")
@click.argument("steps", nargs=-1, required=True)
def command(
    steps: tuple[str, ...], workflow: str, run: str | None, output: str, url: str | None, data: str | None
) -> None:
    """List what is to be done anew when STEPS change: they, and all that depends on them."""
    from gateway.graphs import impact

    graph = load(workflow, run, url, data)
    show(graph, impact(graph, steps), output)
