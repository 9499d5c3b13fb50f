"""`thespis lineage`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import emit, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("event")
@click.option("--source", help="Source of an outside event whose id several sources use.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Most in each direction.")
@click.option("--wait", type=click.IntRange(min=0), help="Wait until lineage has seen this position of the log.")
@output_option
@place_options
def command(event: str, output: str, url: str | None, data: str | None, **wanted: Any) -> None:
    """Show what caused the event or message with the id EVENT, and what it caused, across actors."""
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> dict[str, Any]:
        return await api.get(path("lineage", event), wanted)

    found = call(url, data, read)
    emit(found, "yaml" if output == "table" else output)
