"""The pure half of the channel `terminal`: a line that was typed in, lines to be shown out."""

from __future__ import annotations

from typing import Any, Final, cast

from actors.channels.port import Deliver, Incoming
from events.errors import InvalidData

_UNSEEN: Final = {n: None for n in (*range(32), 127, *range(0x80, 0xA0)) if chr(n) not in "\n\t"}
"""Control characters: what an agent writes must not move the cursor or set the title."""


def safe(text: str) -> str:
    """A text that a terminal only shows."""
    return text.translate(_UNSEEN)


class Terminal:
    """A person at a terminal. It is pulled: what goes out is read as events, from any position."""

    name = "terminal"

    def incoming(self, raw: Any) -> Incoming:
        """(conversation, person, id, line) as one shape. Raises InvalidData for an empty line."""
        place, person, id, line = cast("tuple[str, str, str, str]", raw)
        text = line.strip()
        if not text:
            raise InvalidData("nothing was typed")
        return Incoming(self.name, place, id, person, text)

    def outgoing(self, deliver: Deliver) -> list[Any]:
        """Lines, with a word before what is no reply."""
        before = {"failure": "no answer: ", "approval": "asks: "}.get(deliver.kind, "")
        return safe(f"{before}{deliver.text}").split("\n")
