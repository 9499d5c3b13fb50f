"""`thespis agents schema`."""

from __future__ import annotations

from gateway.cli.output import document_option, emit
from gateway.cli.tree import command as thespis_command


@thespis_command()
@document_option
def command(output: str) -> None:
    """Print the JSON Schema of the front matter of definitions; an editor completes and checks with it."""
    from actors.agents.definition.schema import json_schema

    emit(json_schema(), output)
