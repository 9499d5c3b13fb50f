"""Whether a JSON Schema can be enforced while a model writes, as `strict` demands it."""

from __future__ import annotations

from typing import Any, cast


def is_strict(schema: Any) -> bool:
    """Every object in it lists its properties, demands all of them and allows no others."""
    if isinstance(schema, list):
        return all(is_strict(each) for each in cast("list[Any]", schema))
    if not isinstance(schema, dict):
        return True
    node = cast("dict[str, Any]", schema)
    properties = node.get("properties")
    if node.get("type") == "object" or isinstance(properties, dict):
        names = cast("dict[str, Any]", properties).keys() if isinstance(properties, dict) else set[str]()
        required: list[str] = node.get("required") or []
        if node.get("additionalProperties") is not False or names != set(required):
            return False
    return all(is_strict(value) for key, value in node.items() if key not in ("enum", "const", "default", "examples"))


def name_of(schema: dict[str, Any]) -> str:
    """What to call it: its title as far as interfaces allow it, else `answer`."""
    title = "".join(c for c in str(schema.get("title", "")) if c.isascii() and (c.isalnum() or c in "_-"))
    return title[:64] or "answer"
