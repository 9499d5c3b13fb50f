"""`thespis events list`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows
from gateway.cli.tree import command as thespis_command


def filters(function: Any) -> Any:
    """Decorator: the filters that listing and following events share."""
    for option in (
        click.option("--correlation", help="Only what the message or event with this id started."),
        click.option("--stream", help="Only events of this actor, e.g. account/1."),
        click.option("--type", help="Only events of this type."),
    ):
        function = option(function)
    return function


@thespis_command()
@click.option("--after", type=click.IntRange(min=0), default=0, help="Begin after this position.", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), default=50, help="Print at most so many.", show_default=True)
@filters
@output_option
@place_options
def command(after: int, limit: int, output: str, url: str | None, data: str | None, **wanted: str | None) -> None:
    """List events in the order they happened.

    Example: thespis events list --stream account/1 --limit 10 -o jsonl
    """
    from gateway.cli.http import Api, call
    from gateway.cli.reading import COLUMNS, pages, summary

    async def read(api: Api) -> list[dict[str, Any]]:
        return [event async for event in pages(api, after, limit, wanted)]

    found = call(url, data, read)
    items = [summary(event) for event in found] if output == "table" else found
    rows(items, COLUMNS, output, empty="no events")
