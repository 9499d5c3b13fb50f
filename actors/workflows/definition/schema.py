"""JSON Schema 2020-12 of definitions, for editors: with all that may be written short."""

from __future__ import annotations

from typing import Any, Final

from actors.workflows.definition.model import ACTIONS, WorkflowModel
from actors.workflows.definition.parts import Model
from actors.workflows.definition.shape import forms

EXAMPLE: Final[dict[str, Any]] = {
    "name": "digest",
    "inputs": {"folder": {"type": "string", "default": "."}},
    "outputs": {"words": "${ steps.report.output }"},
    "steps": {
        "list": {"task": "files.list", "with": {"folder": "${ inputs.folder }"}},
        "count": {
            "map": {"over": "${ steps.list.output }", "as": "file", "concurrency": 4},
            "task": "text.count",
            "with": {"path": "${ file }"},
            "retry": 3,
        },
        "report": {"value": "${ steps.count.output.map(c, c.words) }"},
    },
}


def json_schema() -> dict[str, Any]:
    """The schema of a definition."""
    schema = schema_of(WorkflowModel)
    step = schema["$defs"]["StepModel"]
    step["oneOf"] = [{"required": [name]} for name in ACTIONS]
    inputs = schema["properties"]["inputs"]
    names = {"type": "string", "enum": ["string", "integer", "number", "boolean", "array", "object", "null"]}
    inputs["additionalProperties"] = {"anyOf": [{"type": ["object", "boolean"]}, names]}
    inputs.pop("patternProperties", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Thespis workflow",
        **schema,
        "examples": [EXAMPLE],
    }


def schema_of(root: type[Model]) -> dict[str, Any]:
    """The schema of a model and those it is made of: short forms and `x-` keys included."""
    schema = root.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = schema["$defs"]
    models = {"": root, **{m.__name__: m for m in _models(root)}}
    for name, model in models.items():
        described = definitions[name] if name else schema
        described["patternProperties"] = {"^x-": {}}
        described.pop("title", None)
        for key, form in forms(model).items():
            field = described["properties"][key]
            field.pop("title", None)
            if form.many:
                one = {k: v for k, v in field.items() if k in ("description", "default")}
                listed = {k: v for k, v in field.items() if k not in one}
                described["properties"][key] = {**one, "anyOf": [listed, _item(listed)]}
    for name, model in models.items():
        if name and model.short:
            short = dict(definitions[name]["properties"][model.short])
            whole = definitions[name]
            # What is no map stands for that field; a map is the model itself.
            plain = {"allOf": [short, {"not": {"type": "object"}}]}
            definitions[name] = {"description": whole.pop("description", ""), "anyOf": [whole, plain]}
    return schema


def _item(listed: dict[str, Any]) -> Any:
    """The schema of one item of a list."""
    return listed.get("items", {})


def _models(model: type[Model]) -> list[type[Model]]:
    """The models that a model is made of."""
    found: dict[type[Model], None] = {}
    todo = [model]
    while todo:
        for form in forms(todo.pop()).values():
            if form.model is not None and form.model not in found:
                found[form.model] = None
                todo.append(form.model)
    return list(found)
