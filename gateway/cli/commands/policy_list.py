"""`thespis policy list`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows, when
from gateway.cli.tree import command as thespis_command

COLUMNS = ("name", "version", "hash", "published", "by")


@thespis_command()
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Print at most so many.")
@output_option
@place_options
def command(limit: int, output: str, url: str | None, data: str | None) -> None:
    """List policies by name, each with its newest version. Calls are judged by `default`."""
    from gateway.cli.http import Api, call
    from gateway.cli.reading import rows as pages

    async def read(api: Api) -> list[dict[str, Any]]:
        return await pages(api, "/v1/policies", "policies", limit, {})

    found = call(url, data, read)
    if output == "table":
        for item in found:
            item["published"] = when(item["at"])
    rows(found, COLUMNS, output, empty="no policies")
