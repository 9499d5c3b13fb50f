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
    from events.errors import NotFound
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> dict[str, Any]:
        if not event.isdecimal():
            return await api.get(path("events", event))
        position = int(event)
        if position > 0:
            answer = await api.get("/v1/events", {"after": position - 1, "limit": 1})
            for found in answer["events"]:
                if found["position"] == position:
                    return found
        raise NotFound(f"there is no event at position {position}", hint="`thespis events list` shows what there is")

    fields(call(url, data, read), output)
