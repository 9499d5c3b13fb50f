"""`thespis agents publish`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@key_option
@output_option
@place_options
def command(file: str, key: str | None, output: str, url: str | None, data: str | None) -> None:
    """Publish FILE (Markdown with YAML front matter, - for standard input) as the newest version of its agent.

    One that is the newest version already changes nothing. Of a wrong one every problem is told as file:line:column.
    """
    from gateway.cli.defining import publish

    fields(publish("agents", file, "text/markdown", key=key, url=url, data=data), output)
