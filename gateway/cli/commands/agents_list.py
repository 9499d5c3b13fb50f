"""`thespis agents list`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows, when
from gateway.cli.tree import command as thespis_command

COLUMNS = ("name", "state", "version", "active", "queued", "turns", "models", "published", "description")


@thespis_command()
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Print at most so many.")
@output_option
@place_options
def command(limit: int, output: str, url: str | None, data: str | None) -> None:
    """List agents; definitions of the workspace that are wrong are told on standard error."""
    from gateway.cli.defining import listed

    found = listed("agents", limit, url=url, data=data)
    if output == "table":
        for item in found:
            item["published"] = when(item["published_at"])
            item["models"] = ", ".join(item["models"]) + (" (stand-in)" if item["scripted"] else "")
    rows(found, COLUMNS, output, empty="no agents")
