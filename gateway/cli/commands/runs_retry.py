"""`thespis runs retry`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option, write
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("run")
@click.option("--step", "steps", multiple=True, help="This step; may be repeated  [default: all that failed]")
@key_option
@output_option
@place_options
def command(run: str, steps: tuple[str, ...], key: str | None, output: str, url: str | None, data: str | None) -> None:
    """Try the failed steps of a run again, and what hung on them; all else keeps its result."""
    fields(write(("runs", run, "retry"), {"steps": list(steps)}, key, url, data), output)
