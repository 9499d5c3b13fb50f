"""`thespis actors resume`."""

from __future__ import annotations

import click

from gateway.cli.arguments import Address
from gateway.cli.find import place_options
from gateway.cli.operating import operate
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("address", type=Address())
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.option("--skip", is_flag=True, help="Never handle the message it stopped at.")
@output_option
@place_options
def command(address: str, reason: str, skip: bool, output: str, url: str | None, data: str | None) -> None:
    """Let the parked actor ADDRESS go on: the message it stopped at is tried again, or skipped."""
    fields(operate("resume", address, {"reason": reason, "skip": skip}, url, data), output)
