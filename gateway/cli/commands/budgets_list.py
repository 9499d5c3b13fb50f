"""`thespis budgets list`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows
from gateway.cli.tree import command as thespis_command

COLUMNS = ("budget", "usd", "period", "window", "spent", "reserved", "calls", "refused")


@thespis_command()
@click.option("--scope", type=click.Choice(["tenant", "agent", "conversation", "cause"]), help="Only these.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Print at most so many.")
@output_option
@place_options
def command(scope: str | None, limit: int, output: str, url: str | None, data: str | None) -> None:
    """List budgets, what of them is spent and what is set aside."""
    from gateway.cli.http import Api, call
    from gateway.cli.reading import rows as pages

    async def read(api: Api) -> list[dict[str, Any]]:
        return await pages(api, "/v1/budgets", "budgets", limit, {"scope": scope})

    found = call(url, data, read)
    if output == "table":
        for item in found:
            item["usd"] = "no limit" if item["usd"] is None else item["usd"]
    rows(found, COLUMNS, output, empty="no budgets")
