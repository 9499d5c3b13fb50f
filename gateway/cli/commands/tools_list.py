"""`thespis tools list`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows
from gateway.cli.tree import command as thespis_command

COLUMNS = ("tool", "status", "risk", "effect_class", "via", "origin", "calls", "description")


@thespis_command()
@click.option(
    "--status",
    type=click.Choice(["waiting", "approved", "changed", "disabled"]),
    help="Only those with this status; waiting and changed ones want `thespis tools approve`.",
)
@click.option(
    "--risk",
    type=click.Choice(["read-local", "read-network", "write-reversible", "write-external", "privileged"]),
    help="Only those of this tier.",
)
@click.option("--limit", type=click.IntRange(min=1), default=200, show_default=True, help="Print at most so many.")
@output_option
@place_options
def command(status: str | None, risk: str | None, limit: int, output: str, url: str | None, data: str | None) -> None:
    """List tools of agents."""
    from gateway.cli.http import Api, call
    from gateway.cli.reading import rows as pages

    async def read(api: Api) -> list[dict[str, Any]]:
        return await pages(api, "/v1/tools", "tools", limit, {"status": status, "risk": risk})

    rows(call(url, data, read), COLUMNS, output, empty="no tools")
