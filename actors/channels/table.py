"""The channels there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from actors.channels.http import HTTP
from actors.channels.port import Capabilities, Channel
from actors.channels.rendering import texts
from actors.channels.terminal import TERMINAL

ACTOR: Final = Channel(Capabilities(True, 0, markdown=True, streaming=True), texts)
"""An actor: it is told what became of its message, and nobody reads along but whoever looks."""

CHANNELS: Final[dict[str, Channel]] = {"http": HTTP, "terminal": TERMINAL, "actor": ACTOR, "call": ACTOR}
"""By the name of a channel; what follows a colon (`telegram:42`) is an account of it. `actor`: another actor asks;
`call`: an agent is the tool of another one."""

PLAIN: Final = Channel(Capabilities(), texts)


def channel_of(name: str, channels: Mapping[str, Channel] = CHANNELS) -> Channel:
    """A channel by its name, with or without an account. One nobody knows takes text, pushed."""
    return channels.get(name.partition(":")[0], PLAIN)
