"""Text for channels that take less than a model writes: without Markdown, or in pieces that are not too long."""

from __future__ import annotations

import re
from typing import Final

from actors.channels.table import Capabilities

_FENCE: Final = re.compile(r"^```[^\n]*\n?", re.MULTILINE)
_MARKS: Final = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_HEADING: Final = re.compile(r"^#{1,6}\s+", re.MULTILINE)
_LINK: Final = re.compile(r"!?\[([^\]\n]*)\]\(([^)\s]+)\)")


def plain(text: str) -> str:
    """Markdown as plain text: the words stay, and where a link leads stands behind it."""
    text = _FENCE.sub("", text)
    text = _LINK.sub(lambda m: m[2] if m[1] in ("", m[2]) else f"{m[1]} ({m[2]})", text)
    return _HEADING.sub("", _MARKS.sub(r"\2", text))


def pieces(text: str, longest: int) -> list[str]:
    """A text in pieces of at most `longest` characters (0: any length), cut between paragraphs, lines or words where
    that is possible. Nothing but the white space at the cuts is lost."""
    if not longest or len(text) <= longest:
        return [text]
    found: list[str] = []
    while len(text) > longest:
        places = (text.rfind(mark, longest // 2, longest + 1) for mark in ("\n\n", "\n", " "))
        at = next((place for place in places if place > 0), longest)
        found.append(text[:at].rstrip())
        text = text[at:].lstrip()
    return [piece for piece in (*found, text) if piece]


def rendered(text: str, channel: Capabilities) -> list[str]:
    """A text as a channel takes it, in one or more messages."""
    return pieces(text if channel.markdown else plain(text), channel.text)
