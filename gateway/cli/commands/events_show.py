"""`thespis events show`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("event")
@output_option
@place_options
def command(event: str, output: str, url: str | None, data: str | None) -> None:
    """Show the event with the position or id EVENT in full.

    The id of an event from outside is its source and id with a space between: thespis events show '/shop 17'
    """
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> dict[str, Any]:
        position = event
        if not event.isdecimal():
            position = str((await api.get(path("lineage", event)))["event"]["position"])
        return await api.get(path("events", position))

    fields(call(url, data, read), output)
