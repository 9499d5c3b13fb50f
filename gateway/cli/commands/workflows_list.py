"""`thespis workflows list`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, printable, rows, when
from gateway.cli.tree import command as thespis_command

COLUMNS = ("name", "version", "steps", "published", "next", "retired")


@thespis_command()
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Print at most so many.")
@output_option
@place_options
def command(limit: int, output: str, url: str | None, data: str | None) -> None:
    """List workflows; definitions of the workspace that are wrong are told on standard error."""
    from gateway.cli.http import Api, call
    from gateway.cli.reading import rows as pages

    async def read(api: Api) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        broken = (await api.get("/v1/workflows", {"limit": 1}))["broken"]
        return await pages(api, "/v1/workflows", "workflows", limit, {}), broken

    found, broken = call(url, data, read)
    if output == "table":
        for item in found:
            item["published"] = when(item["published_at"]) if item["published_at"] else None
            item["next"] = when(item["next_at"]) if item["next_at"] else None
    rows(found, COLUMNS, output, empty="no workflows")
    for file in broken:
        for problem in file["problems"]:
            place = f"{problem['file']}:{problem['line']}:{problem['column']}"
            click.echo(printable(f"{place}: {problem['message']}"), err=True)
