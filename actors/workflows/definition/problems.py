"""What is wrong with a definition: everything at once, each with its place and a way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import msgspec

from events.errors import InvalidData


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, order=True):
    """One thing that is wrong. Lines and columns count from 1; `pointer` is an RFC 6901 JSON pointer."""

    file: str
    line: int
    column: int
    pointer: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {self.pointer or '/'}: {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class DefinitionInvalid(InvalidData):
    """A definition is not valid."""

    code = "definition"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems)
        first = str(self.problems[0])
        more = len(self.problems) - 1
        super().__init__(f"{first}{f'; and {more} more' if more else ''}")


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint: the known name that looks most like this one."""
    names = list(known)
    close = get_close_matches(name, names, 1, 0.6)
    if close:
        return f"did you mean {close[0]}?"
    shown = ", ".join(sorted(names)[:12])
    return f"known: {shown}" if shown else ""
