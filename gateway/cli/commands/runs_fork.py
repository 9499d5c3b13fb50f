"""`thespis runs fork`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option, write
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("run")
@click.option("--from", "step", required=True, metavar="STEP", help="The first step to do anew.")
@click.option("--input", "given", multiple=True, metavar="NAME=VALUE", help="Other inputs than those of the run.")
@click.option(
    "--input-file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), help="A JSON or YAML file of inputs."
)
@key_option
@output_option
@place_options
def command(
    run: str,
    step: str,
    given: tuple[str, ...],
    input_file: str | None,
    key: str | None,
    output: str,
    url: str | None,
    data: str | None,
) -> None:
    """Start a new run on the recorded results of RUN: STEP and all that hangs on it are done anew.

    Example: thespis runs fork 018f… --from write
    """
    from gateway.cli.inputs import inputs

    body: dict[str, Any] = {"from": step}
    if given or input_file is not None:
        body["inputs"] = inputs(given, input_file)
    fields(write(("runs", run, "fork"), body, key, url, data), output)
