"""`thespis subjects show`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("subject")
@output_option
@place_options
def command(subject: str, output: str, url: str | None, data: str | None) -> None:
    """Show what is sealed for SUBJECT: its key, the streams it is used in, and how much there is."""
    from gateway.cli.http import call, path
    from gateway.cli.output import when

    found = call(url, data, lambda api: api.get(path("subjects", subject)))
    fields(found | {"since": when(found["since"])}, output)
