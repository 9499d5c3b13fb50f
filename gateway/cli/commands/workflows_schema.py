"""`thespis workflows schema`."""

from __future__ import annotations

from gateway.cli.output import document_option, emit
from gateway.cli.tree import command as thespis_command


@thespis_command()
@document_option
def command(output: str) -> None:
    """Print the JSON Schema of definitions; a YAML language server completes and checks with it.

    Put this at the top of a definition: # yaml-language-server: $schema=workflow.schema.json
    """
    from actors.workflows.definition.schema import json_schema

    emit(json_schema(), output)
