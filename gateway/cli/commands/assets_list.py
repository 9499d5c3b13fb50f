"""`thespis assets list`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows, when
from gateway.cli.tree import command as thespis_command

COLUMNS = ("asset", "key", "version", "content", "made", "reused", "blocked", "workflow", "step")


@thespis_command()
@click.option("--asset", help="Only the keys of this one.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Print at most so many.")
@output_option
@place_options
def command(asset: str | None, limit: int, output: str, url: str | None, data: str | None) -> None:
    """List what runs made, in its newest version."""
    from gateway.cli.http import Api, call
    from gateway.cli.reading import rows as pages

    async def read(api: Api) -> list[dict[str, Any]]:
        return await pages(api, "/v1/assets", "assets", limit, {"asset": asset})

    found = call(url, data, read)
    if output == "table":
        for item in found:
            item["content"], item["made"] = item["content"][:12], when(item["at"])
    rows(found, COLUMNS, output, empty="no assets")
