"""What tools for files answer, read by the script `files`: JSON or lines of text, framed or not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec

CONTEXT: Final = 4
"""Lines that are quoted together at most."""

_PLACE: Final = re.compile(r"^\s*(?:[-*>] )?`?(?P<path>[^:`]+?):(?P<line>\d+)(?:-\d+)?`?[:\s]\s*(?P<text>.*)$")
_NUMBERED: Final = re.compile(r"^\s*(\d+)[\t:|]\s?(.*)$")


class Hit(msgspec.Struct, frozen=True):
    """A line that a search found."""

    path: str
    line: int
    text: str


class Passage(msgspec.Struct, frozen=True):
    """Lines of a file, from line `first` on."""

    first: int
    lines: list[str]


def score(text: str, words: Sequence[str]) -> int:
    """How many of the words are in a text, or words that begin like them."""
    lower = text.lower()
    return sum(1 for word in words if word in lower or (len(word) > 4 and word[:-1].rstrip("e") in lower))


def hits(result: str) -> list[Hit]:
    """The hits in the result of a search."""
    value = _value(result)
    found = [hit for each in _rows(value) if (hit := _hit(each)) is not None]
    if found or value is not None:
        return found
    return [
        Hit(place["path"], int(place["line"]), place["text"])
        for line in result.splitlines() if (place := _PLACE.match(line))
    ]  # fmt: skip


def passage(result: str, words: Sequence[str], first: int = 1) -> Passage | None:
    """The lines of what was read that share most words with the question; None when none of them does.

    `first` is the number of the first line, unless the result says so itself.
    """
    first, lines = _lines(result, first)
    best, start, stop = (0, False), 0, 0
    for at in range(len(lines)):
        if not lines[at].strip():
            continue
        end = _end(lines, at)
        common = score(lines[at], words) * 2 + score("\n".join(lines[at:end]), words)
        rank = (common, not lines[at].startswith("#"))
        if common and rank > best:
            best, start, stop = rank, at, end
    if not stop:
        return None
    return Passage(first + start, [line.rstrip() for line in lines[start:stop]])


def _end(lines: Sequence[str], at: int) -> int:
    """Where the paragraph that begins at a line ends; a heading is quoted with the one that follows it."""
    end = at + 1
    if lines[at].startswith("#"):
        end = next((n for n in range(end, len(lines)) if lines[n].strip()), end)
    while end < len(lines) and lines[end].strip() and end - at < CONTEXT:
        end += 1
    return end


def _lines(result: str, first: int) -> tuple[int, list[str]]:
    """(number of the first, lines) of a file or a part of it."""
    value = _value(result)
    found = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    text = found["text"] if "path" in found and isinstance(found.get("text"), str) else result
    for name in ("first", "start"):
        if text is not result and isinstance(found.get(name), int):
            first = max(1, int(found[name]))
    lines = text.splitlines()
    numbered = [_NUMBERED.match(line) for line in lines]
    if lines and all(numbered):
        pairs = [(int(m.group(1)), m.group(2)) for m in numbered if m]
        return pairs[0][0], [line for _, line in pairs]
    return first, lines


def _value(result: str) -> Any:
    """The JSON in a result; None when there is none. What it is framed with is passed over."""
    for start, end in (("", ""), ("{", "}"), ("[", "]")):
        at, to = (result.find(start), result.rfind(end) + 1) if start else (0, len(result))
        if at < 0 or to <= at:
            continue
        try:
            value = msgspec.json.decode(result[at:to])
        except (msgspec.DecodeError, UnicodeEncodeError):
            continue
        if isinstance(value, str):
            return _value(value) if value != result else None
        if isinstance(value, dict | list):
            return cast(Any, value)
    return None


def _rows(value: Any) -> list[Any]:
    if isinstance(value, list):
        return cast("list[Any]", value)
    found = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    for name in ("hits", "matches", "results", "found", "value", "lines", "citations"):
        if isinstance(found.get(name), list | dict):
            return _rows(found[name])
    return []


def _hit(row: Any) -> Hit | None:
    if isinstance(row, str):
        place = _PLACE.match(row)
        return Hit(place["path"], int(place["line"]), place["text"]) if place else None
    found = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
    path = next((found[n] for n in ("path", "file", "name") if isinstance(found.get(n), str)), "")
    line = next((found[n] for n in ("line", "first", "start", "line_number") if isinstance(found.get(n), int)), 1)
    text = next((found[n] for n in ("text", "excerpt", "content", "quote") if isinstance(found.get(n), str)), "")
    return Hit(path, line, text) if path else None
