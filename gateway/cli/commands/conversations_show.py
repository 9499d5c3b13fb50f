"""`thespis conversations show`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("conversation")
@click.option("--at", type=click.IntRange(min=1), help="As it was at this version of its history.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Show so many turns at most.")
@output_option
@place_options
def command(conversation: str, at: int | None, limit: int, output: str, url: str | None, data: str | None) -> None:
    """Show what was said in CONVERSATION, what the agent did, and where it stands; now or then."""
    from gateway.cli.http import Api, call, path
    from gateway.cli.transcript import show

    async def read(api: Api) -> dict[str, Any]:
        return await api.get(path("conversations", conversation), {"at": at, "limit": limit})

    found = call(url, data, read)
    if output == "table":
        show(found)
    else:
        fields(found, output)
