"""Schemas of strangers, cut to what can be checked in bounded time."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from events.errors import BadDefinition
from infra.tools.web.visible import visible

SIZE: Final = 32 * 1024
DEPTH: Final = 24
WEIGHT: Final = 2000
_DROPPED: Final = frozenset({"pattern", "patternProperties", "format", "$schema", "$id", "id", "$anchor", "$comment"})
"""An expression of others can keep the checker busy for ever; the rest would lead `$ref` astray."""
_REFUSED: Final = frozenset({"$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary"})
_NAMED: Final = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_VALUES: Final = frozenset({"enum", "const", "default", "examples", "required", "dependentRequired"})
_HERE: Final = ("allOf", "anyOf", "oneOf")
_HERE_ONE: Final = ("not", "if", "then", "else")


def bounded(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object without what cannot be checked safely; text that shows nothing is taken out of
    descriptions. Raises BadDefinition when it is too large, too deep, refers elsewhere, or to itself without end."""
    if len(msgspec.json.encode(schema)) > SIZE:
        raise BadDefinition(f"its schema is larger than {SIZE} bytes")
    made = _cut(schema, 0)
    if not isinstance(made, dict):
        raise BadDefinition("its schema is not one of an object")
    found = cast(dict[str, Any], made)
    if found.setdefault("type", "object") != "object":
        raise BadDefinition("its schema is not one of an object")
    for each in _all(found):
        _weigh(each, found, (), {})
    return found


def _cut(node: Any, depth: int) -> Any:
    if depth > DEPTH:
        raise BadDefinition(f"its schema is nested more than {DEPTH} deep")
    if isinstance(node, list):
        return [_cut(each, depth + 1) for each in cast(list[Any], node)]
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {}
    for name, value in cast(dict[str, Any], node).items():
        if name in _REFUSED:
            raise BadDefinition(f"its schema has {name}")
        if name in _DROPPED:
            continue
        if name in _VALUES:
            made[name] = value
        elif name in ("description", "title") and isinstance(value, str):
            made[name] = visible(value)[:2000]
        elif name in _NAMED and isinstance(value, dict):
            made[name] = {each: _cut(sub, depth + 2) for each, sub in cast(dict[str, Any], value).items()}
        else:
            made[name] = _cut(value, depth + 1)
    reference = made.get("$ref")
    if reference is not None and not (isinstance(reference, str) and reference.startswith("#/")):
        raise BadDefinition("its schema refers to another document")
    return made


def _all(node: Any) -> list[dict[str, Any]]:
    """Every schema in it."""
    found: list[dict[str, Any]] = []
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            found.append(cast(dict[str, Any], each))
            waiting += [value for name, value in cast(dict[str, Any], each).items() if name not in _VALUES]
        elif isinstance(each, list):
            waiting += cast(list[Any], each)
    return found


def _weigh(node: Any, root: dict[str, Any], path: tuple[str, ...], known: dict[str, int]) -> int:
    """How many schemas one value is held against, references followed."""
    if not isinstance(node, dict):
        return 1
    schema = cast(dict[str, Any], node)
    total = 1
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference in path:
            raise BadDefinition("its schema refers to itself without end")
        if reference not in known:
            known[reference] = _weigh(_resolved(reference, root), root, (*path, reference), known)
        total += known[reference]
    for name in _HERE:
        parts = schema.get(name)
        if isinstance(parts, list):
            total += sum(_weigh(each, root, path, known) for each in cast(list[Any], parts))
    total += sum(_weigh(schema[name], root, path, known) for name in _HERE_ONE if name in schema)
    if total > WEIGHT:
        raise BadDefinition("its schema takes too long to check")
    return total


def _resolved(reference: str, root: dict[str, Any]) -> Any:
    at: Any = root
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(at, dict) or key not in at:
            raise BadDefinition(f"its schema refers to {reference[:100]}, which is not there")
        at = cast(dict[str, Any], at)[key]
    return at
