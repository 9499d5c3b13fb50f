"""`thespis approvals deny`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option, write
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("approval")
@click.option("--note", help="A word with it; it is recorded.")
@key_option
@output_option
@place_options
def command(approval: str, note: str | None, key: str | None, output: str, url: str | None, data: str | None) -> None:
    """Disagree with what APPROVAL asks, in the name of your token: that settles it."""
    body = {} if note is None else {"note": note}
    fields(write(("approvals", approval, "deny"), body, key, url, data), output)
