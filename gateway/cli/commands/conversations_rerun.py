"""`thespis conversations rerun`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import cell, fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("conversation")
@click.option("--from", "turn", type=click.IntRange(min=1), default=1, show_default=True, help="Begin with this turn.")
@output_option
@place_options
def command(conversation: str, turn: int, output: str, url: str | None, data: str | None) -> None:
    """Run CONVERSATION again by today's code, with what models, tools and people said taken from the record.

    Nothing is called. Where today's code asks something else than was recorded, that is a divergence: it is told, it
    ends there, and the exit status is 1.
    """
    from gateway.cli.http import Api, call, path
    from gateway.problems import FAILED

    async def run(api: Api) -> dict[str, Any]:
        return await api.post(path("conversations", conversation, "rerun"), {"from": turn})

    found = call(url, data, run)
    if output != "table":
        fields(found, output)
    else:
        click.echo(f"{found['compared']} events compared, {found['turns']} turns as recorded")
        for note in found["notes"]:
            _tell("differs", note)
        if found["divergence"]:
            _tell("DIVERGES", found["divergence"])
    if found["divergence"]:
        raise click.exceptions.Exit(FAILED)


def _tell(what: str, found: dict[str, Any]) -> None:
    field = f".{found['field']}" if found["field"] else ""
    click.echo(
        f"{what} at version {found['version']} ({found['where']}): {found['event']}{field} {found['why']}".rstrip()
    )
    for name in ("expected", "got"):
        if found[name] is not None:
            click.echo(f"  {name}: {cell(found[name])[:500]}")
