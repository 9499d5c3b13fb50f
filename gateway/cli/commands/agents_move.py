"""`thespis agents move`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option, write
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("name")
@click.argument("trigger", type=click.Choice(["start", "drain", "stop", "quarantine", "release"]))
@click.option("--reason", default="", help="Why; it is recorded.")
@key_option
@output_option
@place_options
def command(
    name: str, trigger: str, reason: str, key: str | None, output: str, url: str | None, data: str | None
) -> None:
    """Operate the agent NAME.

    \b
    start       from stopped or failed
    drain       turns under way and in line are taken, no more
    stop        no turn is let in
    quarantine  likewise, until it is released
    release     start again
    """
    fields(write(("agents", name, trigger), {"reason": reason}, key, url, data), output)
