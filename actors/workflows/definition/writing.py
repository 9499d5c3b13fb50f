"""Writing JSON values as YAML, so that reading gives the same values back."""

from __future__ import annotations

import json
import re
from typing import Any, Final, cast

from actors.workflows.definition.reading import plain

_BARE: Final = re.compile(r"[A-Za-z_./][A-Za-z0-9_./+@-]*(?: [A-Za-z0-9_./+@-]+)*")
"""Texts that need no quotes anywhere, flow style included."""
_ESCAPED: Final = re.compile("[\x7f-\x9f\ufeff\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def scalar(value: Any) -> str:
    """A scalar on one line, as it can stand anywhere."""
    if isinstance(value, str):
        if _BARE.fullmatch(value) and plain(value) == value and not value.startswith(("---", "...")):
            return value
        return _ESCAPED.sub(lambda m: f"\\u{ord(m.group()):04x}", json.dumps(value, ensure_ascii=False))
    return json.dumps(value, allow_nan=False)


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(k)}: {flow(v)}" for k, v in cast("dict[str, Any]", value).items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(v) for v in cast("list[Any]", value)) + "]"
    return scalar(value)


def block(value: Any, indent: int, newline: str = "\n") -> str:
    """A value in lines; the first one goes where the text stands already, at column `indent`."""
    pad = newline + " " * indent
    if isinstance(value, dict) and value:
        items = cast("dict[str, Any]", value).items()
        return pad.join(f"{scalar(k)}:{_below(v, indent + 2, newline)}" for k, v in items)
    if isinstance(value, list) and value:
        return pad.join(f"- {block(v, indent + 2, newline)}" for v in cast("list[Any]", value))
    return flow(value)


def entry(key: str, value: Any, indent: int, newline: str = "\n") -> str:
    """A key with its value, in lines."""
    return block({key: value}, indent, newline)


def _below(value: Any, indent: int, newline: str) -> str:
    if isinstance(value, dict) and value:
        return f"{newline}{' ' * indent}{block(value, indent, newline)}"
    if isinstance(value, list) and value:
        items = cast("list[Any]", value)
        if all(not isinstance(i, dict | list) for i in items) and len(line := flow(items)) <= 100:
            return f" {line}"
        return f"{newline}{' ' * indent}{block(value, indent, newline)}"
    return f" {flow(value)}"


def dump(value: Any) -> str:
    """A whole document."""
    return block(value, 0) + "\n"
