"""`thespis agents show`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("name")
@click.option("--version", type=click.IntRange(min=1), help="This version  [default: the newest]")
@click.option("--source", is_flag=True, help="Print the definition only, as it was written.")
@output_option
@place_options
def command(name: str, version: int | None, source: bool, output: str, url: str | None, data: str | None) -> None:
    """Show the agent NAME: where it stands in its life, its versions, its definition."""
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> dict[str, Any]:
        return await api.get(path("agents", name), {"version": version})

    found = call(url, data, read)
    if source:
        click.echo(found["source"], nl=not found["source"].endswith("\n"))
        return
    if output == "table":
        text = found.pop("source")
        found.pop("definition")
        fields(found, output)
        click.echo(f"\n{text}", nl=not text.endswith("\n"))
        return
    fields(found, output)
