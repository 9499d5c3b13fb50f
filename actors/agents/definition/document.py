"""The file of an agent: YAML between two lines `---`, and below it Markdown, the instructions."""

from __future__ import annotations

from typing import Final

import msgspec

from actors.workflows.definition.document import Document, read
from actors.workflows.definition.problems import DefinitionInvalid, Problem

FILE: Final = 1_000_000
"""Characters of one file."""


class AgentDocument(msgspec.Struct, frozen=True):
    """The front matter with its marks, the text below it, and the line that the text begins in."""

    front: Document
    body: str
    line: int
    source: str


def read_agent(text: str | bytes, file: str = "agent.md") -> AgentDocument:
    """Parse a file. Raises DefinitionInvalid."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError:
            read(text, file)  # raises, with the line
            raise
    text = text.removeprefix("\ufeff")
    if len(text) > FILE:
        raise _broken(file, 1, f"{len(text)} characters, {FILE} are allowed")
    lines = text.split("\n")
    if lines[0].rstrip() != "---":
        raise _broken(file, 1, "the front matter is missing", "begin with a line ---, then name: and model:")
    end = next((n for n, line in enumerate(lines) if n and line.rstrip() in ("---", "...")), None)
    if end is None:
        raise _broken(file, 1, "the front matter does not end", "end it with a line ---, and write instructions below")
    if not any(line.strip() and not line.lstrip().startswith("#") for line in lines[1:end]):
        raise _broken(file, 1, "the front matter is empty", "an agent has a name and a model")
    front = read("\n".join(lines[:end]), file)
    return AgentDocument(front, "\n".join(lines[end + 1 :]), end + 2, text)


def _broken(file: str, line: int, message: str, hint: str = "") -> DefinitionInvalid:
    return DefinitionInvalid([Problem(file, line, 1, "", message, hint)])
