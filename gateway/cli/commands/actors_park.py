"""`thespis actors park`."""

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
@output_option
@place_options
def command(address: str, reason: str, output: str, url: str | None, data: str | None) -> None:
    """Stop the actor ADDRESS until it is resumed. Its messages wait, everybody else goes on."""
    fields(operate("park", address, {"reason": reason}, url, data), output)
