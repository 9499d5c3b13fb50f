"""`thespis events schema`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import data_option
from gateway.cli.output import document_option, emit
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("type", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonschema", "asyncapi"]),
    default="jsonschema",
    show_default=True,
    help="Schemas of the types, or a document of the whole bus.",
)
@click.option("--workspace", "workspaces", type=click.Path(), multiple=True, help="A directory with your types.")
@document_option
@data_option("--data", "--data-dir")
def command(type: str | None, form: str, workspaces: tuple[str, ...], output: str, data: str | None) -> None:
    """Print the JSON Schema of TYPE (default: of all), or an AsyncAPI 3.0 document of the bus.

    Known are the kernel's own types, those of installed plugins, and those of the workspace: the one named, else the
    one the running instance has.
    """
    from actors.feed import feed
    from actors.workflows.definition.problems import nearest
    from events import Registry
    from events.errors import UnknownType
    from events.schema import asyncapi, json_schema, json_schemas
    from events.system import SYSTEM_EVENTS
    from gateway.built_in import built_in
    from gateway.cli.find import workspace_of
    from gateway.workspace import gather

    plugin = gather(workspaces or workspace_of(data), built_in())
    kinds = [feed, *plugin.kinds]
    events = Registry([*SYSTEM_EVENTS, *plugin.events, *(item for kind in kinds for item in kind.events)])
    messages = {kind.name: kind.messages for kind in kinds if list(kind.messages)}
    if form == "asyncapi":
        if type is not None:
            raise click.UsageError("an AsyncAPI document is of all types; leave TYPE out")
        emit(asyncapi(events, messages), output)
        return
    if type is None:
        emit(json_schemas(events), output)
        return
    found: list[Any] = [known for registry in (events, *messages.values()) if (known := registry.get(type)) is not None]
    if not found:
        names = sorted({known.name for registry in (events, *messages.values()) for known in registry})
        raise UnknownType(f"no type {type!r} is known here", hint=f"{nearest(type, names)}; or name a --workspace")
    emit(json_schema(found[0]), output)
