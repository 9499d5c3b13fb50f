"""`thespis runs signal`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option, write
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("run")
@click.argument("type")
@click.argument("body", default="null")
@key_option
@output_option
@place_options
def command(run: str, type: str, body: str, key: str | None, output: str, url: str | None, data: str | None) -> None:
    """Give RUN an event of TYPE, for the steps that wait for one. BODY is JSON text, @FILE, or -."""
    import msgspec

    from gateway.cli.arguments import json_argument

    sent: dict[str, Any] = {"type": type, "data": msgspec.Raw(json_argument(body, "BODY"))}
    fields(write(("runs", run, "signal"), sent, key, url, data), output)
