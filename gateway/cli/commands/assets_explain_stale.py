"""`thespis assets explain-stale`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import emit, output_option, printable
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("name")
@click.option("--key", default="", help="Of a keyed asset.")
@output_option
@place_options
def command(name: str, key: str, output: str, url: str | None, data: str | None) -> None:
    """Say whether a run would make the asset NAME anew, as far as that is known without one, and what differs first."""
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> dict[str, Any]:
        return await api.get(f"{path('assets', name)}/stale", {"key": key or None})

    found = call(url, data, read)
    if output != "table":
        emit(found, output)
        return
    _say(found, "")


def _say(found: dict[str, Any], indent: str) -> None:
    word = f"stale: {found['why']}" if found["stale"] else "up to date, as far as is known without a run"
    click.echo(printable(f"{indent}{found['address']}@{found['version']}  {word}"))
    for above in found["because"]:
        _say(above, indent + "  ")
