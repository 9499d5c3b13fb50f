"""What the commands `thespis workflows graph …` share: where the graph comes from, and how it is printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from events.errors import NotFound
from gateway.cli.find import place_options

if TYPE_CHECKING:
    from gateway.graphs import Graph

FORMATS: Final = ("list", "svg", "mermaid", "dot", "json")


def graph_options(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: the workflow, `--run`, `-o`, and where the instance is."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        function = place_options(function)
        function = click.option(
            "-o", "--output", type=click.Choice(FORMATS), default=default, show_default=True, help="How to print it."
        )(function)
        function = click.option("--run", "run", help="With the status of every step in this run.")(function)
        return click.argument("workflow", metavar="FILE|NAME")(function)

    return decorate


def load(workflow: str, run: str | None, url: str | None, data: str | None) -> Graph:
    """The graph of a file, or of a published workflow; with the statuses of a run.

    Raises DefinitionInvalid, and NotFound for what can only be a file and is none.
    """
    from gateway.graphs.source import graph_of_text

    file = Path(workflow)
    if not file.is_file() and (file.suffix or len(file.parts) > 1):
        raise NotFound(
            f"there is no file {workflow}", hint="name a file, or a workflow as `thespis workflows list` does"
        )
    if file.is_file() and run is None:
        return graph_of_text(file.read_bytes(), workflow)
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> tuple[str, dict[str, str]]:
        statuses: dict[str, str] = {}
        parts: Sequence[str] = ("workflows", workflow)
        if run is not None:
            found = await api.get(path("runs", run, "graph"))
            statuses = {node["id"]: node["status"] for node in found["nodes"]}
            parts = ("workflows", found["workflow"], "versions", str(found["version"]))
        source = "" if file.is_file() else str((await api.get(path(*parts)))["source"])
        return source, statuses

    source, statuses = call(url, data, read)
    return graph_of_text(source or file.read_bytes(), workflow, statuses)


def show(graph: Graph, places: Sequence[str], output: str) -> None:
    """Print these steps: as a list of places, or as the graph of them alone."""
    from gateway.cli.output import emit, printable
    from gateway.graphs import as_json, dot, focus, lay_out, mermaid, svg

    if output == "list":
        for place in places:
            click.echo(printable(place))
        return
    graph = focus(graph, places)
    match output:
        case "svg":
            click.echo(svg(lay_out(graph)), nl=False)
        case "mermaid":
            click.echo(mermaid(graph), nl=False)
        case "dot":
            click.echo(dot(graph), nl=False)
        case _:
            emit(as_json(lay_out(graph)), "json")
