"""What is another in a definition, field by field, for whoever has to agree to it."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from events.tools import ToolDefinition

SHOWN: Final = 100
"""Lines; more are counted."""
WIDE: Final = 300
"""Characters of a value in a line."""
BESIDE: Final = 40
"""Characters that are shown before and after what differs in a long one."""


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
                lines += _whole("-", at, mine[name])
            elif name not in mine:
                lines += _whole("+", at, theirs[name])
            else:
                lines += _between(at, mine[name], theirs[name])
        return lines
    if _json(one) == _json(other):
        return []
    before, after = _apart(_json(one), _json(other))
    return [f"{path}: {before} → {after}"]


def _whole(sign: str, path: str, value: Any) -> list[str]:
    """What is new, or gone: a line for each value in it."""
    if isinstance(value, dict) and value:
        named = cast("dict[str, Any]", value)
        return [line for name, inner in named.items() for line in _whole(sign, f"{path}.{name}", inner)]
    return [f"{sign} {path}: {_cut(_json(value))}"]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _apart(one: str, other: str) -> tuple[str, str]:
    """Two texts from shortly before where they differ, so that no change hides at the end of something long."""
    if max(len(one), len(other)) <= WIDE:
        return one, other
    start = _shared(one, other)
    end = _shared(one[start:][::-1], other[start:][::-1])
    from_ = max(0, start - BESIDE)
    return _part(one, from_, len(one) - end), _part(other, from_, len(other) - end)


def _shared(one: str, other: str) -> int:
    """With how many of the same characters two texts begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _part(text: str, start: int, end: int) -> str:
    end = min(len(text), end + BESIDE)
    shown = _cut(text[start:end])
    return f"{'…' if start else ''}{shown}{'…' if end < len(text) else ''}"


def _cut(text: str) -> str:
    return text if len(text) <= WIDE else f"{text[:WIDE]}… ({len(text) - WIDE} characters more)"
