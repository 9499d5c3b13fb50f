"""`thespis actors fork`."""

from __future__ import annotations

import click

from gateway.cli.arguments import Address
from gateway.cli.find import place_options
from gateway.cli.operating import operate
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("address", type=Address())
@click.option(
    "--at", "version", type=click.IntRange(min=1), required=True, help="The last version both have in common."
)
@click.option("--as", "new", type=Address(), required=True, help="Address of the fork, of the same kind.")
@output_option
@place_options
def command(address: str, version: int, new: str, output: str, url: str | None, data: str | None) -> None:
    """Begin a new actor with the history of ADDRESS up to a version.

    The fork withholds its tells and effects until it is made live.

    Example: thespis actors fork account/1 --at 17 --as account/1-what-if
    """
    fields(operate("fork", address, {"version": version, "to": new}, url, data), output)
