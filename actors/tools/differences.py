"""What is another in a definition, field by field, for whoever has to agree to it."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from events.tools import ToolDefinition

SHOWN: Final = 100
"""Lines; more are counted."""
WIDE: Final = 300
"""Characters of a value in a line."""


def differences(before: ToolDefinition, after: ToolDefinition) -> list[str]:
    """A line for each value that differs: `path: before → after`; `+` for what is new, `-` for what is gone."""
    lines = _between("", msgspec.to_builtins(before), msgspec.to_builtins(after))
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"and {len(lines) - SHOWN} more"]


def _between(path: str, one: Any, other: Any) -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        mine, theirs = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        lines: list[str] = []
        for name in dict.fromkeys([*mine, *theirs]):
            at = f"{path}.{name}" if path else name
            if name not in theirs:
                lines.append(f"- {at}: {_said(mine[name])}")
            elif name not in mine:
                lines.append(f"+ {at}: {_said(theirs[name])}")
            else:
                lines += _between(at, mine[name], theirs[name])
        return lines
    return [] if _same(one, other) else [f"{path}: {_said(one)} → {_said(other)}"]


def _same(one: Any, other: Any) -> bool:
    return msgspec.json.encode(one) == msgspec.json.encode(other)


def _said(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= WIDE else f"{text[: WIDE - 1]}…"
