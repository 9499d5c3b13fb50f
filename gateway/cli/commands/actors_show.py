"""`thespis actors show`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.arguments import Address
from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("address", type=Address())
@click.option("--at", type=click.IntRange(min=0), help="The state right after this version  [default: now]")
@output_option
@place_options
def command(address: str, at: int | None, output: str, url: str | None, data: str | None) -> None:
    """Show the state of the actor ADDRESS, now or as it was at a version.

    Example: thespis actors show account/1 --at 17
    """
    from events.address import split
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> dict[str, Any]:
        return await api.get(path("actors", *split(address)), {"at": at})

    fields(call(url, data, read), output)
