"""`thespis assets show`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import emit, fields, output_option, rows, when
from gateway.cli.tree import command as thespis_command

NODES = ("depth", "asset", "key", "version", "content", "run", "step")


@thespis_command()
@click.argument("name")
@click.option("--key", default="", help="Of a keyed asset.")
@click.option("--version", type=click.IntRange(min=1), help="This version  [default: the newest]")
@output_option
@place_options
def command(name: str, key: str, version: int | None, output: str, url: str | None, data: str | None) -> None:
    """Show the asset NAME: which run made it, out of what, its checks; then its lineage, up and down."""
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> tuple[dict[str, Any], dict[str, Any]]:
        wanted = {"key": key or None, "version": version}
        where = path("assets", name)
        return await api.get(where, wanted), await api.get(f"{where}/lineage", wanted)

    found, lineage = call(url, data, read)
    if output != "table":
        emit({**found, "lineage": lineage}, output)
        return
    found["at"] = when(found["at"])
    fields(found, output)
    if nodes := [*reversed(lineage["up"]), lineage["asset"], *lineage["down"]]:
        click.echo()
        rows([{**node, "content": node["content"][:12]} for node in nodes], NODES, output)
