"""`thespis workflows list`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows, when
from gateway.cli.tree import command as thespis_command

COLUMNS = ("name", "version", "steps", "published", "next", "retired")


@thespis_command()
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Print at most so many.")
@output_option
@place_options
def command(limit: int, output: str, url: str | None, data: str | None) -> None:
    """List workflows; definitions of the workspace that are wrong are told on standard error."""
    from gateway.cli.defining import listed

    found = listed("workflows", limit, url=url, data=data)
    if output == "table":
        for item in found:
            item["published"] = when(item["published_at"]) if item["published_at"] else None
            item["next"] = when(item["next_at"]) if item["next_at"] else None
    rows(found, COLUMNS, output, empty="no workflows")
