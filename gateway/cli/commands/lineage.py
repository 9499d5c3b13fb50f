"""`thespis lineage`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import cell, emit, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("event")
@click.option("--source", help="Source of an outside event whose id several sources use.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Most in each direction.")
@click.option("--wait", type=click.IntRange(min=0), help="Wait until lineage has seen this position of the log.")
@output_option
@place_options
def command(event: str, output: str, url: str | None, data: str | None, **wanted: Any) -> None:
    """Show what caused the event with the id EVENT, and what it caused, across actors.

    A number that is no event's id is a position.
    """
    from events.errors import NotFound
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> dict[str, Any]:
        try:
            return await api.get(path("lineage", event), wanted)
        except NotFound:
            if not event.isdecimal() or wanted["source"]:
                raise
        at = await api.get(path("events", event))
        return await api.get(path("lineage", at["id"]), {**wanted, "source": at["source"]})

    found = call(url, data, read)
    if output != "table":
        emit(found, output)
        return
    for line in tree(found):
        click.echo(line)


def tree(found: dict[str, Any]) -> Iterator[str]:
    """Causes above, the event asked for, effects below; each further in than what caused it."""
    causes = sorted(found["up"], key=lambda node: -abs(node["depth"]))
    for depth, node in enumerate(causes):
        yield _line(node, depth, " ")
    yield _line(found["event"], len(causes), "*")
    below: dict[Any, list[dict[str, Any]]] = {}
    for node in found["down"]:
        below.setdefault(node["parent"], []).append(node)
    waiting = [(found["event"], len(causes))]
    while waiting:
        node, depth = waiting.pop()
        if node is not found["event"]:
            yield _line(node, depth, " ")
        effects = below.pop(node["ref"], [])
        waiting += [(effect, depth + 1) for effect in sorted(effects, key=lambda e: -(e["position"] or 0))]
    if found.get("truncated"):
        yield "… and more: raise --limit"


def _line(node: dict[str, Any], depth: int, mark: str) -> str:
    cells = (node["position"], node.get("time"), "  " * depth + mark + " " + str(node["type"]), node["stream"])
    return "  ".join(cell(value) for value in cells)
