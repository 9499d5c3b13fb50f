"""`thespis tools approve`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option, write
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("tool")
@click.option("--hash", "hash", help="Of the definition that you looked at  [default: asked after it is shown]")
@click.option("--note", default="", help="A word with it; it is recorded.")
@key_option
@output_option
@place_options
def command(
    tool: str, hash: str | None, note: str, key: str | None, output: str, url: str | None, data: str | None
) -> None:
    """Agree to the definition of TOOL, in the name of your token.

    It is the one of --hash, in whole; without, what changed is shown and you are asked.
    """
    from events.errors import Conflict
    from gateway.cli.http import Api, call, path
    from gateway.cli.output import printable

    if hash is None:

        async def read(api: Api) -> dict[str, Any]:
            return await api.get(path("tools", tool))

        found = call(url, data, read)
        pending: dict[str, Any] | None = found["pending"]
        if pending is None and found["status"] == "approved":
            raise Conflict(f"tool {tool} is approved", hint="nothing of it changed")
        changes: list[str] = pending["diff"] if pending is not None else []
        for line in changes:
            click.echo(printable(line), err=True)
        hash = str(pending["hash"] if pending is not None else found["hash"])
        click.confirm(f"agree to {tool} with the hash {hash[:16]}…?", abort=True, err=True)
    fields(write(("tools", tool, "approve"), {"hash": hash, "note": note}, key, url, data), output)
