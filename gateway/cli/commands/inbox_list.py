"""`thespis inbox list`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.option("--all", is_flag=True, help="Those that were closed, too.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Most items to show.")
@output_option
@place_options
def command(all: bool, limit: int, output: str, url: str | None, data: str | None) -> None:
    """List what needs a person: parked actors, effects nobody knows the outcome of, messages nobody could deliver.

    `thespis inbox show POSITION` tells more of one, and its ways out.
    """
    from gateway.cli.http import call
    from gateway.cli.inbox import COLUMNS, items
    from gateway.cli.output import rows

    columns = (*COLUMNS, "open", "resolution") if all else COLUMNS
    rows(
        call(url, data, lambda api: items(api, limit, closed=all)), columns, output, empty="nothing waits for a person"
    )
