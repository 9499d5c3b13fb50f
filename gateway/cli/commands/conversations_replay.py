"""`thespis conversations replay`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option, printable, when
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("conversation")
@click.option("--at", type=click.IntRange(min=1), help="Up to this version of its history.")
@output_option
@place_options
def command(conversation: str, at: int | None, output: str, url: str | None, data: str | None) -> None:
    """Fold CONVERSATION from its events, silently: what was said and done, line by line. Nothing is called."""
    from gateway.cli.http import Api, call, path

    async def read(api: Api) -> dict[str, Any]:
        return await api.get(path("conversations", conversation, "replay"), {"at": at})

    found = call(url, data, read)
    if output != "table":
        fields(found, output)
        return
    for line in found["lines"]:
        place = f"{line['turn'] or ''}.{line['step'] or ''}".strip(".")
        said = " ".join(line["text"].split())[:300]
        head = f"{line['version']:>5}  {when(line['at'])}  {place:<5}  {line['who']} {line['what']}"
        click.echo(printable(f"{head}  {said}".rstrip()))
