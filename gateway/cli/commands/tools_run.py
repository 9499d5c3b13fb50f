"""`thespis tools run`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("tool")
@click.option(
    "--input", "given", multiple=True, metavar="NAME=VALUE", help="An argument; JSON is taken for what it is."
)
@click.option(
    "--input-file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), help="A JSON or YAML file of them."
)
@click.option("--dry", is_flag=True, help="Go through the gates and stop before it begins.")
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=60.0, show_default=True, help="Seconds to wait for its end."
)
@key_option
@output_option
@place_options
def command(
    tool: str,
    given: tuple[str, ...],
    input_file: str | None,
    dry: bool,
    timeout: float,
    key: str | None,
    output: str,
    url: str | None,
    data: str | None,
) -> None:
    """Have TOOL called, through every gate, in the name of your token.

    The exit status is 1 when it did not succeed; when it waits for people, their approval is named.

    \b
    Examples:
      thespis tools run files.read --input path=README.md
      thespis tools run files.write --input path=a.txt --input content=hello --dry
    """
    import shlex
    import time

    from events.errors import DeadlineExceeded, OutcomeUnknown
    from events.ids import random_id
    from gateway.cli.http import Api, call, path
    from gateway.cli.inputs import inputs
    from gateway.cli.retrying import retrying
    from gateway.problems import FAILED

    arguments, used = inputs(given, input_file), key or random_id()

    async def run(api: Api) -> dict[str, Any]:
        end = time.monotonic() + timeout
        while True:
            body = {"arguments": arguments, "dry": dry, "wait": max(0.0, min(20.0, end - time.monotonic()))}
            found = await retrying(lambda body=body: api.post(path("tools", tool, "run"), body, key=used))
            if found["status"] != "running" or time.monotonic() >= end:
                return found

    try:
        found = call(url, data, run)
    except (OutcomeUnknown, DeadlineExceeded) as error:
        error.hint = f"repeat it with --key {shlex.quote(used)}: it is the same call"
        raise
    if output == "table":
        names = ("call", "tool", "status", "stage", "text", "data", "decision", "why", "approval", "sandbox")
        found = {name: found[name] for name in names if found[name] not in (None, "")}
    fields(found, output)
    if found["status"] != "succeeded":
        raise click.exceptions.Exit(FAILED)
