"""`thespis tools disable`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option, write
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("tool")
@click.option("--reason", default="", help="Why; it is recorded.")
@key_option
@output_option
@place_options
def command(tool: str, reason: str, key: str | None, output: str, url: str | None, data: str | None) -> None:
    """Let no call of TOOL in, until somebody approves it again."""
    fields(write(("tools", tool, "disable"), {"reason": reason}, key, url, data), output)
