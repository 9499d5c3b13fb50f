"""`thespis approvals list`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows, when
from gateway.cli.tree import command as thespis_command

COLUMNS = ("approval", "status", "title", "step", "given", "quorum", "requested", "what")


@thespis_command()
@click.option("--all", "everything", is_flag=True, help="Those that are decided, too.")
@click.option("--run", help="Only those that this run asked for.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Print at most so many.")
@output_option
@place_options
def command(everything: bool, run: str | None, limit: int, output: str, url: str | None, data: str | None) -> None:
    """List what waits for somebody's agreement."""
    from gateway.cli.http import Api, call
    from gateway.cli.reading import rows as pages

    async def read(api: Api) -> list[dict[str, Any]]:
        wanted = {"status": None if everything else "waiting", "run": run}
        return await pages(api, "/v1/approvals", "approvals", limit, wanted)

    found = call(url, data, read)
    if output == "table":
        for item in found:
            item["given"] = ", ".join(given["by"] for given in item["given"])
            item["requested"] = when(item["requested_at"])
    rows(found, COLUMNS, output, empty="nothing waits for an approval")
