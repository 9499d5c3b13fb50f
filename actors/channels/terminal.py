"""The pure half of the channel `terminal`: a line that was typed in, lines to be shown out."""

from __future__ import annotations

import re
from typing import Any, Final, cast

from actors.channels.port import Capabilities, Channel, Deliver, Incoming
from actors.channels.rendering import texts
from events.errors import InvalidData

_OBEYED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_TAB: Final = " " * 4


def safe(text: str) -> str:
    """A text that a terminal only shows, line by line: what it would obey is spelled out (`\\x1b`)."""
    text = text.replace("\r\n", "\n").replace("\t", _TAB)
    return _OBEYED.sub(
        lambda m: f"\\x{ord(m.group()):02x}" if ord(m.group()) < 256 else f"\\u{ord(m.group()):04x}", text
    )


def incoming(raw: Any) -> Incoming:
    """(conversation, person, id, line) as one shape. Raises InvalidData for an empty line."""
    place, person, id, line = cast("tuple[str, str, str, str]", raw)
    text = line.strip()
    if not text:
        raise InvalidData("nothing was typed")
    return Incoming("terminal", place, id, person, text)


def outgoing(deliver: Deliver, can: Capabilities) -> list[Any]:
    """Texts to show. Its buttons are a question that is asked at the prompt."""
    return [safe(text) for text in texts(deliver, can)]


TERMINAL: Final = Channel(Capabilities(True, 0, markdown=True, buttons=True, streaming=True), outgoing, incoming)
"""A person at a terminal. It is pulled: what goes out is read as events, from any position."""
