"""Renaming a step: its key, and every place that names it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, cast

from actors.workflows.definition.document import Document, names_of, token, walk
from actors.workflows.definition.fields import NAME
from actors.workflows.definition.splice import CannotEdit, put, rename_key

_STRING: Final = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"
_EXPRESSIONS: Final = frozenset(("when", "while", "until", "match", "expression"))
"""Keys whose texts are expressions also without `${ … }`."""


def rename_step(document: Document, pointer: str, name: str) -> Document:
    """Rename the step at a pointer, in `needs`, `then` and expressions of its block and of all blocks within.

    A block within that has a step of the old name keeps meaning its own. Raises CannotEdit.
    """
    parent, _, _ = pointer.rpartition("/")
    old = names_of(pointer)[-1]
    if not re.match(NAME, name):
        raise CannotEdit(f"{name!r} cannot be the name of a step", hint="letters, digits, _ and -")
    if names_of(parent)[-1:] != ["steps"] or pointer not in document.keys:
        raise CannotEdit(f"there is no step {pointer}")
    steps = cast("dict[str, Any]", walk(document.value, parent))
    edits: list[tuple[str, Any]] = []
    for at, value in _mentions(steps, parent, old, True):
        edits.append((at, value))
    if parent == "/steps":
        for key in ("outputs", "assets"):
            edits += _texts(document.value.get(key), f"/{key}", old)
    owner = parent.rpartition("/")[0]
    holder: dict[str, Any] = walk(document.value, owner) if owner else {}
    if "output" in holder:
        edits += _texts(holder["output"], f"{owner}/output", old)
    for at, text in edits:
        document = put(document, at, _closed(text, name))
    return rename_key(document, pointer, name)


_HERE: Final = "\x00"
"""Stands for the new name in an edit that is being gathered."""


def _mentions(steps: dict[str, Any], pointer: str, old: str, own: bool) -> Iterator[tuple[str, Any]]:
    """The texts that name the step, with the name left open. `own`: it is a step of this very block."""
    for name, step in steps.items():
        if not isinstance(step, dict):
            continue
        at = f"{pointer}/{token(name)}"
        own_steps = cast("dict[str, Any]", step).get("steps")
        for key, value in cast("dict[str, Any]", step).items():
            where = f"{at}/{token(key)}"
            if key == "needs" and own:
                yield from _names(value, where, old)
            elif key == "switch" and isinstance(value, list):
                for n, case in enumerate(cast("list[Any]", value)):
                    if isinstance(case, dict) and own:
                        yield from _names(cast("Any", case).get("then"), f"{where}/{n}/then", old)
                yield from _texts(value, where, old)
            elif key == "steps" and isinstance(value, dict):
                if old not in value:
                    yield from _mentions(cast("dict[str, Any]", value), where, old, False)
            elif key in ("catch", "finally") and isinstance(value, dict):
                block = cast("dict[str, Any]", value)
                inner = block.get("steps")
                shadowed = isinstance(inner, dict) and old in inner
                if isinstance(inner, dict) and not shadowed:
                    yield from _mentions(cast("dict[str, Any]", inner), f"{where}/steps", old, False)
                if "output" in block and not shadowed:
                    yield from _texts(block["output"], f"{where}/output", old)
            elif key == "output" and isinstance(own_steps, dict) and old in own_steps:
                continue
            else:
                yield from _texts(value, where, old)


def _names(value: Any, pointer: str, old: str) -> Iterator[tuple[str, str]]:
    if value == old:
        yield pointer, _HERE
    elif isinstance(value, list):
        yield from ((f"{pointer}/{n}", _HERE) for n, item in enumerate(cast("list[Any]", value)) if item == old)


def _texts(value: Any, pointer: str, old: str) -> list[tuple[str, str]]:
    """The expressions in a value that read the step."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return [edit for key, item in items for edit in _texts(item, f"{pointer}/{token(key)}", old)]
    if isinstance(value, list):
        items = enumerate(cast("list[Any]", value))
        return [edit for n, item in items for edit in _texts(item, f"{pointer}/{n}", old)]
    bare = pointer.rpartition("/")[2] in _EXPRESSIONS
    if not isinstance(value, str) or not (bare or (value.startswith("${") and value.endswith("}"))):
        return []
    changed = _in_expression(value, old)
    return [(pointer, changed)] if changed != value else []


def _in_expression(text: str, old: str) -> str:
    """`steps.old` and `steps["old"]` with the name left open; not in strings, and not the field of something else."""
    quoted = re.escape(old)
    begins = r"(?<![\w.])steps\s*"
    pattern = rf"(?P<index>{begins}\[\s*(?:\"{quoted}\"|'{quoted}')\s*\])|(?P<string>{_STRING})"
    if "-" not in old:
        pattern += rf"|(?P<dot>{begins}\.\s*{quoted}(?!\w))"

    def opened(found: re.Match[str]) -> str:
        if found.group("string"):
            return found.group()
        return f"steps['{_HERE}']" if found.group("index") else f"steps.{_HERE}"

    return re.sub(pattern, opened, text)


def _closed(text: str, name: str) -> str:
    """The text with the new name: in brackets when it cannot stand behind a dot."""
    if "-" in name:
        text = text.replace(f"steps.{_HERE}", f"steps['{_HERE}']")
    return text.replace(_HERE, name)
