"""JSON Schemas in a definition: of inputs and outputs, and of what a task takes."""

from __future__ import annotations

import re
from typing import Any, Protocol, cast
from zoneinfo import available_timezones

from actors.cron import CronError, parse, zone_of
from actors.workflows.definition.document import token, walk
from actors.workflows.definition.expressions import Reader
from actors.workflows.definition.model import WorkflowModel
from actors.workflows.definition.problems import nearest
from actors.workflows.tasks import Task

TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")


class Telling(Protocol):
    """Whoever is told what is wrong."""

    def problem(self, pointer: str, message: str, hint: str = "") -> None:
        """Something is wrong there."""
        ...


Found = list[tuple[str, str, str]]
"""(JSON pointer, what is wrong, hint)"""


def inputs_schema(reader: Reader, inputs: dict[str, Any]) -> dict[str, Any]:
    """The schema of all inputs: those without a default are required."""
    properties: dict[str, Any] = {}
    for name, written in inputs.items():
        at = f"/inputs/{token(name)}"
        schema = checked_schema(reader, at, written)
        if schema is not None:
            properties[name] = _moved(schema, f"#/properties/{token(name)}")
            if isinstance(schema, dict) and "default" in schema:
                for where, message in _faults(schema, cast("Any", schema)["default"]):
                    reader.problem(f"{at}/default{where}", f"the default does not fit its own schema: {message}")
    return {
        "type": "object",
        "properties": properties,
        "required": [n for n, s in properties.items() if not (isinstance(s, dict) and "default" in s)],
        "additionalProperties": False,
    }


def outputs_schema(reader: Reader, outputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of the outputs, and the schema of those that have one."""
    values: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for name, written in outputs.items():
        values[name] = written
        if isinstance(written, dict) and set(cast("dict[str, Any]", written)) == {"value", "schema"}:
            typed = cast("dict[str, Any]", written)
            values[name] = typed["value"]
            schema = checked_schema(reader, f"/outputs/{token(name)}/schema", typed["schema"])
            if schema is not None:
                properties[name] = _moved(schema, f"#/properties/{token(name)}")
    return values, {"type": "object", "properties": properties} if properties else {}


def typed_output(written: Any) -> bool:
    """Whether an output is written as {value, schema}."""
    return isinstance(written, dict) and set(cast("dict[str, Any]", written)) == {"value", "schema"}


def checked_schema(reader: Telling, at: str, written: Any) -> Any:
    """A schema as written, or from the name of a type; None when it is none."""
    if isinstance(written, str):
        if written in TYPES:
            return {"type": written}
        reader.problem(at, f"{written!r} is no type", nearest(written, TYPES))
        return None
    if not isinstance(written, dict | bool):
        reader.problem(at, "a JSON Schema is expected here", "e.g. {type: string}, or the name of a type")
        return None
    from jsonschema import Draft202012Validator

    metaschema: Any = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    faults = [(_pointer(e.absolute_path), str(e.message)) for e in metaschema.iter_errors(written)]
    for where, message in faults:
        reader.problem(f"{at}{where}", f"not a valid JSON Schema: {message[:300]}")
    elsewhere = _references_elsewhere(written)
    for reference in elsewhere:
        reader.problem(at, f"a schema cannot refer to {reference!r}", "only within itself, as #/$defs/name")
    unsound = [] if faults or elsewhere else _unsound(written)
    for message in unsound:
        reader.problem(at, message)
    return None if faults or elsewhere or unsound else cast("Any", written)


def _unsound(schema: Any) -> list[str]:
    """What a valid schema can still have wrong, so that nothing can be checked against it."""
    found: list[str] = []
    for reference in _references(schema):
        try:
            walk(schema, reference[1:])
        except (KeyError, IndexError, TypeError, ValueError):
            found.append(f"there is no {reference!r} in this schema")
    for pattern in _patterns(schema):
        try:
            re.compile(pattern)
        except re.error as error:
            found.append(f"{pattern!r} is no regular expression: {error}")
    if not found:
        try:
            _faults(schema, None)
        except RecursionError:
            found.append("this schema refers to itself without end")
    return found


def _patterns(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        known = cast("dict[str, Any]", schema)
        own = [known["pattern"]] if isinstance(known.get("pattern"), str) else []
        if isinstance(known.get("patternProperties"), dict):
            own += list(known["patternProperties"])
        return own + [p for key, value in known.items() if key not in _PLAIN for p in _patterns(value)]
    if isinstance(schema, list):
        return [pattern for item in cast("list[Any]", schema) for pattern in _patterns(item)]
    return []


def schedule_problems(reader: Reader, model: WorkflowModel, schema: dict[str, Any]) -> None:
    """Whether the cron expression and the zone are such, and the runs of the schedule have the inputs they need."""
    schedule = model.schedule
    if schedule is None:
        return
    try:
        parse(schedule.cron)
    except CronError as error:
        reader.problem("/schedule/cron", error.message, error.hint)
    try:
        zone_of(schedule.zone)
    except CronError:
        hint = nearest(schedule.zone, available_timezones())
        hint = hint if hint.startswith("did") else "an IANA name as Europe/Berlin"
        reader.problem("/schedule/zone", f"there is no time zone {schedule.zone!r}", hint)
    for where, message in _faults(schema, schedule.inputs):
        reader.problem(f"/schedule/inputs{where}", message)


def input_problems(task: Task, given: Any) -> Found:
    """What a task cannot take, as far as it is known before the run."""
    schema = task.input_schema()
    target = _resolved(schema, schema)
    if not isinstance(target, dict):
        return []
    target = cast("dict[str, Any]", target)
    if "properties" not in target:
        return []
    if given is None:
        given = {}
    if not isinstance(given, dict):
        return [] if _is_open(given) else [("", f"{task.id} takes a map", "")]
    properties = cast("dict[str, Any]", target["properties"])
    values = cast("dict[str, Any]", given)
    found: Found = []
    for name, value in values.items():
        if name not in properties:
            if target.get("additionalProperties") in (None, False):
                found.append((f"/{token(name)}", f"{task.id} takes no {name!r}", nearest(name, properties)))
        elif not _is_open(value):
            within = {**properties[name], **({"$defs": schema["$defs"]} if "$defs" in schema else {})}
            found += [(f"/{token(name)}{where}", message, "") for where, message in _faults(within, value)]
    missing = [name for name in cast("list[str]", target.get("required", [])) if name not in values]
    if missing:
        found.append(("", f"{task.id} needs {', '.join(missing)}", ""))
    return found


def _is_open(value: Any) -> bool:
    """Whether expressions decide what a value is."""
    if isinstance(value, str):
        return "${" in value
    if isinstance(value, dict):
        return any(_is_open(v) for v in cast("dict[str, Any]", value).values())
    return isinstance(value, list) and any(_is_open(v) for v in cast("list[Any]", value))


def _resolved(schema: Any, within: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        reference = cast("dict[str, Any]", schema).get("$ref")
        if isinstance(reference, str) and reference.startswith("#/$defs/"):
            return within.get("$defs", {}).get(reference.removeprefix("#/$defs/"))
    return cast("Any", schema)


def _faults(schema: Any, value: Any) -> list[tuple[str, str]]:
    """(JSON pointer, message) of whatever in a value does not fit a schema."""
    from jsonschema import Draft202012Validator
    from referencing import Registry

    # An empty registry: nothing is ever fetched.
    registry: Any = cast("Any", Registry)()
    validator: Any = Draft202012Validator(schema, registry=registry)
    return [(_pointer(e.absolute_path), str(e.message)[:300]) for e in validator.iter_errors(value)]


def _pointer(path: Any) -> str:
    return "".join(f"/{token(str(part))}" for part in path)


_PLAIN = ("default", "const", "enum", "examples")
"""Keywords of a schema under which there are values, not schemas."""


def _references(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        found: list[str] = []
        for key, value in cast("dict[str, Any]", schema).items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                found.append(value)
            elif key not in _PLAIN:
                found += _references(value)
        return found
    if isinstance(schema, list):
        return [reference for item in cast("list[Any]", schema) for reference in _references(item)]
    return []


def _references_elsewhere(schema: Any) -> list[str]:
    return [r for r in _references(schema) if r != "#" and not r.startswith("#/")]


def _moved(schema: Any, root: str) -> Any:
    """A schema that now stands at `root` of another one, with its references within itself following."""
    if isinstance(schema, dict):
        return {
            key: root + value[1:] if key == "$ref" and isinstance(value, str)
            else value if key in _PLAIN else _moved(value, root)
            for key, value in cast("dict[str, Any]", schema).items()
        }  # fmt: skip
    if isinstance(schema, list):
        return [_moved(item, root) for item in cast("list[Any]", schema)]
    return schema
