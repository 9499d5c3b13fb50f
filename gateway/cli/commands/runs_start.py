"""`thespis runs start`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option
from gateway.cli.output import emit, fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("name")
@click.option("--input", "given", multiple=True, metavar="NAME=VALUE", help="An input; a value that is JSON is that.")
@click.option(
    "--input-file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), help="A JSON or YAML file of inputs."
)
@click.option(
    "--variable", "variables", multiple=True, metavar="NAME=VALUE", help="A context variable of the run; as an input."
)
@click.option("--version", type=click.IntRange(min=1), help="Of the workflow  [default: the newest]")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label of the run; may be repeated.")
@click.option("--priority", type=click.IntRange(0, 9), help="9 goes first  [default: the workflow's]")
@click.option("--wait", is_flag=True, help="Wait for its end; the exit status is 1 when it did not succeed.")
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=3600.0, show_default=True, help="Seconds to wait with --wait."
)
@key_option
@output_option
@place_options
def command(
    name: str,
    given: tuple[str, ...],
    input_file: str | None,
    variables: tuple[str, ...],
    version: int | None,
    labels: tuple[str, ...],
    priority: int | None,
    wait: bool,
    timeout: float,
    key: str | None,
    output: str,
    url: str | None,
    data: str | None,
) -> None:
    """Start a run of the workflow NAME.

    \b
    Examples:
      thespis runs start digest --input folder=docs --input 'tags=["a","b"]' --wait
      thespis runs start digest --input-file inputs.yaml
    """
    import shlex
    import time

    from events.errors import DeadlineExceeded, OutcomeUnknown
    from events.ids import random_id
    from gateway.cli.http import Api, call, path
    from gateway.cli.inputs import inputs, pairs
    from gateway.cli.retrying import retrying
    from gateway.problems import FAILED

    body: dict[str, Any] = {"inputs": inputs(given, input_file), "labels": pairs(labels, "--label")}
    if variables:
        body["variables"] = inputs(variables, None, "--variable")
    body |= {name: value for name, value in (("version", version), ("priority", priority)) if value is not None}
    used = key or random_id()

    async def start(api: Api) -> dict[str, Any]:
        end = time.monotonic() + timeout
        while True:
            # Repeated under its key it is the same run; `wait` is not part of what was asked.
            part = min(20.0, end - time.monotonic()) if wait else 0.0
            asked = {**body, "wait": max(part, 0.0)}
            found = await retrying(lambda asked=asked: api.post(path("workflows", name, "runs"), asked, key=used))
            if not wait or found["status"] not in ("queued", "running"):
                return found
            if time.monotonic() >= end:
                raise DeadlineExceeded(f"run {found['run']} goes on after {timeout:g} s")

    try:
        found = call(url, data, start)
    except (OutcomeUnknown, DeadlineExceeded) as error:
        error.hint = f"repeat it with --key {shlex.quote(used)}: it is the same run"
        raise
    if output == "table":
        from gateway.cli.run_tree import facts

        found.pop("waiting", None)
        fields(facts(found), output)
    else:
        emit(found, output)
    if wait and found["status"] != "succeeded":
        raise click.exceptions.Exit(FAILED)
