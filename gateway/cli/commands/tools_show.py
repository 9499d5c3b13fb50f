"""`thespis tools show`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option, printable
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("tool")
@output_option
@place_options
def command(tool: str, output: str, url: str | None, data: str | None) -> None:
    """Show TOOL: its pinned definition, whether it may be used, and what changed since it was approved."""
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> dict[str, Any]:
        return await api.get(path("tools", tool))

    found = call(url, data, read)
    if output != "table":
        fields(found, output)
        return
    pending = found.pop("pending")
    fields(found, output)
    if pending:
        click.echo(f"\nwaits for approval: thespis tools approve {tool} --hash {pending['hash']}")
        for line in pending["diff"]:
            click.echo(f"  {printable(line)}")
