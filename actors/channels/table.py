"""What each channel can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec


class Capabilities(msgspec.Struct, frozen=True):
    """What a channel can do.

    `pulled`: whoever listens reads the conversation's own events, so that what is intended is delivered by being
    recorded; else each outbound message is handed to the effect `channel-deliver`. `text` is the longest message in
    characters (0: any length), `markdown` whether it shows that, `buttons` whether approvals can be answered in it,
    `streaming` whether pieces of an answer can be shown, `edits` whether what was shown can be replaced, `threads`
    whether one place holds several conversations, `files` whether it takes attachments.
    """

    pulled: bool = False
    text: int = 4000
    markdown: bool = False
    buttons: bool = False
    streaming: bool = False
    edits: bool = False
    threads: bool = False
    files: bool = False


CHANNELS: Final[dict[str, Capabilities]] = {
    "http": Capabilities(True, 0, markdown=True, buttons=True, streaming=True, edits=True, threads=True, files=True),
    "terminal": Capabilities(True, 0, markdown=True, buttons=True, streaming=True, edits=True),
    "actor": Capabilities(True, 0, markdown=True),
    "call": Capabilities(True, 0, markdown=True),
}
"""By the name of a channel; what follows a colon (`telegram:42`) is an account of it. `actor`: another actor asks;
`call`: an agent is the tool of another one."""

PLAIN: Final = Capabilities()


def capabilities(channel: str, channels: Mapping[str, Capabilities] = CHANNELS) -> Capabilities:
    """What a channel can do, by its name with or without an account. One nobody knows takes text, pushed."""
    return channels.get(channel.partition(":")[0], PLAIN)
