"""`thespis events tail`."""

from __future__ import annotations

import sys

import click

from gateway.cli.commands.events_list import filters
from gateway.cli.find import place_options
from gateway.cli.output import output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.option("--after", type=click.IntRange(min=0), help="Begin after this position  [default: now]")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many events.")
@filters
@output_option
@place_options
def command(
    after: int | None, limit: int | None, output: str, url: str | None, data: str | None, **wanted: str | None
) -> None:
    """Follow events as they are committed, until Ctrl-C.

    A broken connection is taken up again where it was lost.
    """
    from gateway.cli.http import Api, call
    from gateway.cli.output import cell, emit
    from gateway.cli.reading import COLUMNS, follow

    async def show(api: Api) -> None:
        left = limit
        async for event in follow(api, after, wanted):
            if output == "table":
                click.echo("  ".join(cell(event.get(name)) for name in COLUMNS))
            else:
                if output == "yaml":
                    click.echo("---")
                emit(event, output)
            sys.stdout.flush()
            left = None if left is None else left - 1
            if left == 0:
                return

    call(url, data, show)
