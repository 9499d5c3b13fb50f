"""`thespis projections rebuild`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("name")
@output_option
@place_options
def command(name: str, output: str, url: str | None, data: str | None) -> None:
    """Rebuild the projection NAME from the log. The live one answers until the new one has caught up."""
    from events.ids import random_id
    from gateway.cli.http import Api, call, path
    from gateway.cli.retrying import retrying

    key = random_id()

    async def rebuild(api: Api) -> dict[str, Any]:
        return await retrying(lambda: api.post(path("projections", name, "rebuild"), key=key))

    fields(call(url, data, rebuild), output)
