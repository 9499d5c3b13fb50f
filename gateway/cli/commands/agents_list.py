"""`thespis agents list`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows, when
from gateway.cli.problems import tell
from gateway.cli.tree import command as thespis_command

COLUMNS = ("name", "state", "version", "active", "queued", "turns", "models", "published", "description")


@thespis_command()
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Print at most so many.")
@output_option
@place_options
def command(limit: int, output: str, url: str | None, data: str | None) -> None:
    """List agents; definitions of the workspace that are wrong are told on standard error."""
    from gateway.cli.http import Api, call
    from gateway.cli.reading import rows as pages

    async def read(api: Api) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        broken = (await api.get("/v1/agents", {"limit": 1}))["broken"]
        return await pages(api, "/v1/agents", "agents", limit, {}), broken

    found, broken = call(url, data, read)
    if output == "table":
        for item in found:
            item["published"] = when(item["published_at"])
            item["models"] = ", ".join(item["models"]) + (" (stand-in)" if item["scripted"] else "")
    rows(found, COLUMNS, output, empty="no agents")
    for file in broken:
        tell(file["problems"], err=True)
