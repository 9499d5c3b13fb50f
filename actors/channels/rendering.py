"""What goes out, as far as channels have it in common: without Markdown, in pieces that are not too long, with buttons
or with words that say how to answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from actors.channels.port import Capabilities, Deliver

_FENCE: Final = re.compile(r"^```[^\n]*\n?", re.MULTILINE)
_MARKS: Final = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_HEADING: Final = re.compile(r"^#{1,6}\s+", re.MULTILINE)
_LINK: Final = re.compile(r"!?\[([^\]\n]*)\]\(([^)\s]+)\)")


class Button(msgspec.Struct, frozen=True):
    """A way to answer. `action`: approve, deny. Approving names the `digest` of what is agreed to."""

    label: str
    action: str
    approval: str
    digest: str


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message."""

    text: str
    buttons: list[Button] = []


def said(deliver: Deliver, can: Capabilities) -> list[Said]:
    """What goes out, in one or more messages that a channel can take; buttons are below the last one."""
    text = deliver.text
    if deliver.kind == "failure":
        text = f"no answer: {text}"
    offered = buttons(deliver) if can.buttons else []
    found = [Said(piece) for piece in pieces(text if can.markdown else plain(text), can.text)]
    if offered:
        found[-1] = Said(found[-1].text, offered)
    elif deliver.kind == "approval":
        approval = wanted(deliver)["approval"].removeprefix("approval/")
        found += [
            Said(piece) for piece in pieces(f"to answer: thespis approvals approve {approval}, or deny", can.text)
        ]
    return found


def wanted(deliver: Deliver) -> Mapping[str, str]:
    """What people are to agree to: `approval`, `digest`, `tool`, `call`."""
    return cast("Mapping[str, str]", deliver.data)


def buttons(deliver: Deliver) -> list[Button]:
    """Those that answer an approval; none for what is no question."""
    if deliver.kind != "approval":
        return []
    what = wanted(deliver)
    approval = what["approval"].removeprefix("approval/")
    return [Button(action, action, approval, what["digest"]) for action in ("approve", "deny")]


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
    return [piece for piece in (*found, text) if piece] or [""]


def texts(deliver: Deliver, can: Capabilities) -> list[Any]:
    """The messages of a channel that takes nothing but text."""
    return [one.text for one in said(deliver, can)]
