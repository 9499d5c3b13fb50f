"""`thespis conversations list`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows, when
from gateway.cli.tree import command as thespis_command

COLUMNS = ("conversation", "agent", "status", "messages", "turns", "cost", "last", "last_message")


@thespis_command()
@click.option("--agent", help="Only those with this agent.")
@click.option(
    "--status",
    type=click.Choice(["idle", "busy", "waiting", "stuck", "closed"]),
    help="Only those with this status; waiting: for people.",
)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Print at most so many.")
@output_option
@place_options
def command(agent: str | None, status: str | None, limit: int, output: str, url: str | None, data: str | None) -> None:
    """List conversations, those first in which something happened last."""
    from gateway.cli.costing import dollars
    from gateway.cli.http import Api, call
    from gateway.cli.reading import rows as pages

    async def read(api: Api) -> list[dict[str, Any]]:
        wanted = {"agent": agent, "status": status}
        return await pages(api, "/v1/conversations", "conversations", limit, wanted)

    found = call(url, data, read)
    if output == "table":
        for item in found:
            item["last"] = when(item["last_at"])
            item["cost"] = dollars(item["usd"], item["unknown"], item["estimated"])
    rows(found, COLUMNS, output, empty="no conversations")
