"""The port to channels: what they bring in becomes one shape, what goes out of a conversation becomes theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

CHANNEL_DELIVER: Final = "channel-deliver"
"""The name of the effect kind that hands a message to a channel that is not pulled. It is `keyed` where the channel
knows idempotency keys, else `irreversible`."""


class Incoming(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message as it came in. `id` is what the channel calls it, the same for every repetition; `place` is where in
    the channel (a chat, a thread): it names the conversation. `label` is "" for what a person wrote directly."""

    channel: str
    place: str
    id: str
    sender: str
    text: str
    attachments: list[Any] = []
    label: str = ""
    agent: str = ""


class Deliver(msgspec.Struct, frozen=True, omit_defaults=True):
    """What goes out. `kind`: reply, failure, approval. `number` counts what goes out of the conversation: a channel
    that knows keys makes one of (conversation, number).

    `messages` are the channel's own, as its `outgoing` rendered this: what the performer of `channel-deliver` sends.
    """

    channel: str
    conversation: str
    number: int
    kind: str
    text: str
    data: Any = None
    attempt: int = 1
    messages: list[Any] = []


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the channel said: its own id of the message (of each part, when it was split)."""

    ids: list[str] = []
    note: str = ""


class Capabilities(msgspec.Struct, frozen=True):
    """What a channel can do.

    `pulled`: whoever listens reads the conversation's own events, so that what is intended is delivered by being
    recorded; else each outbound message is handed to the effect `channel-deliver`. `text` is the longest message in
    characters (0: any length), `markdown` whether it shows that, `buttons` whether approvals can be answered in it,
    `streaming` whether pieces of an answer can be shown.
    """

    pulled: bool = False
    text: int = 4000
    markdown: bool = False
    buttons: bool = False
    streaming: bool = False


class Channel(msgspec.Struct, frozen=True):
    """The pure half of a channel: no socket, no clock. The other half, of one that is pushed, is in `infra/channels`.

    `incoming` makes one shape of what came in; it raises InvalidData. None: nobody writes through this channel.
    `outgoing` renders what goes out as one or more of the channel's own messages, JSON-ready.
    """

    can: Capabilities
    outgoing: Callable[[Deliver, Capabilities], list[Any]]
    incoming: Callable[[Any], Incoming] | None = None

    def rendered(self, deliver: Deliver) -> list[Any]:
        """The channel's own messages."""
        return self.outgoing(deliver, self.can)
