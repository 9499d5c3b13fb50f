"""`thespis projections builds`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows, when
from gateway.cli.tree import command as thespis_command

COLUMNS = ("build", "version", "state", "position", "parked", "created", "kept_until", "note")
SWITCHES = ("at", "position", "from_build", "to_build", "compared", "unequal", "by", "reason")


@thespis_command()
@click.argument("name")
@click.option("--switches", is_flag=True, help="List what readers were switched to, newest first, instead.")
@output_option
@place_options
def command(name: str, switches: bool, output: str, url: str | None, data: str | None) -> None:
    """List the builds of the projection NAME: what readers see, what is under way, what is kept beside."""
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> dict[str, Any]:
        return await api.get(path("projections", name, "builds"))

    found = call(url, data, read)
    items: list[dict[str, Any]] = found["switches" if switches else "builds"]
    if output == "table":
        items = [_switch(item) if switches else _build(item) for item in items]
    rows(items, SWITCHES if switches else COLUMNS, output, empty="nothing was switched")


def _build(item: dict[str, Any]) -> dict[str, Any]:
    kept = item["kept_until"]
    return item | {"created": when(item["created"]), "kept_until": when(kept) if kept else None}


def _switch(item: dict[str, Any]) -> dict[str, Any]:
    found = item["comparison"]
    unequal = found["differing"] + found["missing"] + found["added"]
    return item | {"at": when(item["at"]), "compared": found["compared"], "unequal": unequal}
