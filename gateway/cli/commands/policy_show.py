"""`thespis policy show`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("name", default="default")
@click.option("--source", is_flag=True, help="Print the file only, as it was written.")
@output_option
@place_options
def command(name: str, source: bool, output: str, url: str | None, data: str | None) -> None:
    """Show the newest version of the policy NAME (default: `default`, by which calls are judged)."""
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> dict[str, Any]:
        return await api.get(path("policies", name))

    found = call(url, data, read)
    if source:
        click.echo(found["source"], nl=not found["source"].endswith("\n"))
        return
    if output == "table":
        text = found.pop("source")
        found.pop("rules", None)
        fields(found, output)
        click.echo(f"\n{text}", nl=not text.endswith("\n"))
        return
    fields(found, output)
