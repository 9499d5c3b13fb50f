"""`thespis projections show`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("name")
@click.option("--table", help="Which of its tables, when it has several.")
@click.option("--where", multiple=True, help="Column, operator, value, e.g. 'balance>=100'; may be repeated.")
@click.option("--sort", help="Columns separated by commas, - before a falling one.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Print at most so many rows.")
@click.option("--build", type=click.IntRange(min=1), help="Another build than the one that is live.")
@click.option("--wait", type=click.IntRange(min=0), help="Wait until it has seen this position of the log.")
@output_option
@place_options
def command(name: str, limit: int, output: str, url: str | None, data: str | None, **wanted: Any) -> None:
    """Query the rows of the projection NAME.

    Example: thespis projections show actors --where kind=account --sort=-version --limit 10
    """
    from gateway.cli.http import Api, call, path
    from gateway.cli.reading import rows as pages

    async def read(api: Api) -> list[dict[str, Any]]:
        return await pages(api, path("projections", name), "rows", limit, wanted)

    found = call(url, data, read)
    columns = list(dict.fromkeys(key for item in found for key in item))
    rows(found, columns, output, empty="no rows")
