"""`thespis agents schema`."""

from __future__ import annotations

import click

from gateway.cli.output import emit
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.option(
    "-o",
    "--output",
    type=click.Choice(["json", "jsonl", "yaml"]),
    default="json",
    show_default=True,
    help="How to print it.",
)
def command(output: str) -> None:
    """Print the JSON Schema of the front matter of definitions; an editor completes and checks with it."""
    from actors.agents.definition.schema import json_schema

    emit(json_schema(), output)
