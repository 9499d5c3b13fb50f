"""`thespis inbox show`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("item")
@output_option
@place_options
def command(item: str, output: str, url: str | None, data: str | None) -> None:
    """Show one item of the inbox, the event it stands for, and the commands that close it.

    ITEM is the position it was opened at, as `thespis inbox list` shows it, or its name.
    """
    from gateway.cli.http import Api, call, path
    from gateway.cli.inbox import item as find
    from gateway.cli.inbox import ways_out

    async def look(api: Api) -> dict[str, Any]:
        found = await find(api, item)
        event = await api.get(path("events", str(found["opened_position"])))
        return {**found, "event": event.get("data"), "ways_out": ways_out(found)}

    found = call(url, data, look)
    ways: list[str] = found["ways_out"]
    if output == "table":
        del found["ways_out"]
    fields(found, output)
    if output == "table":
        for way in ways:
            click.echo(f"→ {way}")
