"""`thespis runs show`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import emit, fields, output_option, rows
from gateway.cli.tree import command as thespis_command

STEPS = ("step", "status", "task", "attempt", "began", "took", "detail")
THEN = ("step", "status", "attempt", "detail")


@thespis_command()
@click.argument("run")
@click.option("--at", type=click.IntRange(min=1), help="As it was at this version of its history  [default: now]")
@click.option("--limit", type=click.IntRange(min=1), default=200, show_default=True, help="Show at most so many steps.")
@output_option
@place_options
def command(run: str, at: int | None, limit: int, output: str, url: str | None, data: str | None) -> None:
    """Show a run: where it stands, what it waits for, its steps with their times."""
    from gateway.cli.http import Api, call, path
    from gateway.cli.reading import rows as pages
    from gateway.cli.run_tree import facts, row

    async def read(api: Api) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        found = await api.get(path("runs", run), {"at": at})
        if at is not None:
            return found, []
        return found, await pages(api, path("runs", run, "timeline"), "steps", limit, {})

    found, steps = call(url, data, read)
    if output != "table":
        emit(found if at is not None else {**found, "timeline": steps}, output)
        return
    nodes, waiting = found.pop("nodes", None), found.pop("waiting")
    fields(facts(found), output)
    click.echo()
    if nodes is not None:
        rows([{**node, "detail": node["error"] or node["reason"]} for node in nodes[:limit]], THEN, output)
    elif steps:
        rows([row(step) for step in steps], STEPS, output)
    if waiting:
        click.echo()
        rows(waiting, ("step", "status", "reason", "ref"), output)
