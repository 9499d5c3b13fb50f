"""JSON Schema 2020-12 of an agent's front matter, for editors: with all that may be written short."""

from __future__ import annotations

from typing import Any, Final

from actors.agents.definition.model import AgentModel
from actors.workflows.definition.schema import schema_of

EXAMPLE: Final[dict[str, Any]] = {
    "name": "librarian",
    "description": "Answers about the files of a folder, with citations.",
    "model": ["mistral:mistral-small-latest", "scripted:files"],
    "tools": ["files.*"],
    "guardrails": {"inbound": ["unicode"], "outbound": [{"rule": "secrets", "mode": "redact"}]},
    "variables": {"tone": {"type": "string", "default": "plain"}},
    "budgets": {"conversation": 0.5, "agent": {"usd": 5, "period": "day"}},
    "limits": {"steps": 8, "timeout": "5m"},
}


def json_schema() -> dict[str, Any]:
    """The schema of the front matter."""
    schema = schema_of(AgentModel)
    schema["required"] = ["name", "model"]
    written = schema["$defs"]["VariableModel"]["anyOf"][0]["properties"]
    types = ["string", "integer", "number", "boolean", "array", "object", "null"]
    for properties, key in ((written, "type"), (schema["properties"], "output")):
        described = {k: v for k, v in properties[key].items() if k in ("description",)}
        properties[key] = {**described, "anyOf": [{"type": ["object", "boolean"]}, {"enum": types}]}
    schema["properties"]["variables"]["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Thespis agent",
        **schema,
        "examples": [EXAMPLE],
    }
