"""Inputs of a run against the JSON Schema of its workflow: defaults are filled in, and all problems named at once."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

SHOWN: Final = 20
"""Problems that are named; more are counted."""

KEPT: Final = 200
_kept: OrderedDict[str, Draft202012Validator] = OrderedDict()


def schema_problem(schema: dict[str, Any]) -> str:
    """What is wrong with a JSON Schema itself; empty when nothing is."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"{_path(list(error.absolute_path), 'schema')}: {error.message}"
    return ""


def checked(name: str, schema: dict[str, Any], inputs: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The inputs with defaults, and every problem. `name` names the schema: that of one name never changes."""
    if not schema:
        return inputs, []
    from referencing.exceptions import Unresolvable

    filled = cast("dict[str, Any]", with_defaults(schema, inputs))
    try:
        validator: Any = _validator(name, schema)
        found: list[Any] = list(validator.iter_errors(filled))
    except Unresolvable as error:
        return filled, [f"the schema names what is not in it: {error.ref}"]
    errors = sorted(found, key=lambda e: [str(p) for p in e.absolute_path])
    problems = [f"{_path(list(e.absolute_path), 'inputs')}: {e.message[:300]}" for e in errors[:SHOWN]]
    if len(errors) > SHOWN:
        problems.append(f"and {len(errors) - SHOWN} more")
    return filled, problems


def with_defaults(schema: Any, value: Any) -> Any:
    """A copy in which absent properties of objects have the defaults their schema gives."""
    if not isinstance(schema, dict) or not isinstance(value, dict):
        return value
    properties = cast("dict[str, Any]", schema).get("properties")
    if not isinstance(properties, dict):
        return cast("Any", value)
    filled = dict(cast("dict[str, Any]", value))
    for name, inner in cast("dict[str, Any]", properties).items():
        if name not in filled and isinstance(inner, dict) and "default" in inner:
            filled[name] = cast("dict[str, Any]", inner)["default"]
        if name in filled:
            filled[name] = with_defaults(inner, filled[name])
    return filled


def _validator(name: str, schema: dict[str, Any]) -> Draft202012Validator:
    from jsonschema import Draft202012Validator
    from referencing.jsonschema import EMPTY_REGISTRY

    found = _kept.get(name)
    if found is None:
        # An empty registry: a schema never makes a host fetch anything.
        found = _kept[name] = Draft202012Validator(schema, registry=EMPTY_REGISTRY)
        if len(_kept) > KEPT:
            _kept.popitem(last=False)
    return found


def _path(path: list[Any], root: str) -> str:
    return root + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
