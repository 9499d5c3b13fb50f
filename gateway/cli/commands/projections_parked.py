"""`thespis projections parked`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows
from gateway.cli.tree import command as thespis_command

COLUMNS = ("key", "position", "held", "error")


@thespis_command()
@click.argument("name")
@output_option
@place_options
def command(name: str, output: str, url: str | None, data: str | None) -> None:
    """List the keys of the projection NAME whose events wait, because one of them could not be folded."""
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> list[dict[str, Any]]:
        return (await api.get(path("projections", name, "parked")))["parked"]

    rows(call(url, data, read), COLUMNS, output, empty="nothing is parked")
