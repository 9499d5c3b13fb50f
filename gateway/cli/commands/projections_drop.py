"""`thespis projections drop`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("name")
@click.argument("build", type=click.IntRange(min=1))
@output_option
@place_options
def command(name: str, build: int, output: str, url: str | None, data: str | None) -> None:
    """Remove a BUILD of the projection NAME that readers do not see: one kept beside, or one under way."""
    from gateway.cli.http import Api, call, path

    async def drop(api: Api) -> dict[str, Any]:
        return await api.post(path("projections", name, "drop"), {"build": build})

    fields(call(url, data, drop), output)
