"""`thespis actors list`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows
from gateway.cli.tree import command as thespis_command

COLUMNS = ("address", "version", "last_type", "last_position", "parked", "summary")


@thespis_command()
@click.option("--kind", help="Only actors of this kind.")
@click.option("--parked", is_flag=True, help="Only actors that wait for a person.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Print at most so many.")
@click.option("--where", multiple=True, help="Column, operator, value, e.g. 'version>=100'; may be repeated.")
@click.option("--sort", help="Columns separated by commas, - before a falling one.")
@output_option
@place_options
def command(
    kind: str | None,
    parked: bool,
    limit: int,
    where: tuple[str, ...],
    sort: str | None,
    output: str,
    url: str | None,
    data: str | None,
) -> None:
    """List actors."""
    from gateway.cli.http import Api, call
    from gateway.cli.reading import rows as pages

    async def read(api: Api) -> list[dict[str, Any]]:
        wanted = {"kind": kind, "parked": "true" if parked else None, "where": where, "sort": sort}
        return await pages(api, "/v1/actors", "actors", limit, wanted)

    found = call(url, data, read)
    rows(found, COLUMNS, output, empty="no actors")
