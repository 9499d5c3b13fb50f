"""`thespis projections switch`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option, when
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("name")
@click.option("--to", type=click.IntRange(min=1), required=True, help="The build; `projections builds` lists them.")
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.option(
    "--timeout", type=click.FloatRange(min=1, max=60), default=30.0, show_default=True, help="Seconds to wait."
)
@output_option
@place_options
def command(name: str, to: int, reason: str, timeout: float, output: str, url: str | None, data: str | None) -> None:
    """Let readers of the projection NAME see another build, say the one before a new version.

    Both are brought to the same position and compared there; what was found is printed, and does not stop the switch.
    """
    from gateway.cli.http import Api, call, path

    async def switch(api: Api) -> dict[str, Any]:
        return await api.post(path("projections", name, "switch"), {"to": to, "reason": reason}, timeout=timeout)

    found = call(url, data, switch)
    fields(found | {"at": when(found["at"])} if output == "table" and "at" in found else found, output)
