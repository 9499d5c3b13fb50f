"""`thespis projections free`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("name")
@click.argument("key")
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.option("--discard", is_flag=True, help="Let what waits go unfolded, instead of folding it again.")
@output_option
@place_options
def command(name: str, key: str, reason: str, discard: bool, output: str, url: str | None, data: str | None) -> None:
    """Free the parked KEY of the projection NAME: fold what waits for it again, or let it go."""
    from events.ids import random_id
    from gateway.cli.http import Api, call, path

    body = {"key": key, "action": "discard" if discard else "retry", "reason": reason}

    async def free(api: Api) -> dict[str, Any]:
        return await api.post(path("projections", name, "parked"), body, key=random_id())

    fields(call(url, data, free), output)
