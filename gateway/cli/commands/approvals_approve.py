"""`thespis approvals approve`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option, write
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("approval")
@click.option("--digest", help="Only if this is the digest of what is asked.")
@click.option("--note", help="A word with it; it is recorded.")
@key_option
@output_option
@place_options
def command(
    approval: str, digest: str | None, note: str | None, key: str | None, output: str, url: str | None, data: str | None
) -> None:
    """Agree to what APPROVAL asks, in the name of your token."""
    body = {name: value for name, value in (("digest", digest), ("note", note)) if value is not None}
    fields(write(("approvals", approval, "approve"), body, key, url, data), output)
