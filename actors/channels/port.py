"""The port to channels: what they bring in becomes one shape, what goes out is handed over in one shape."""

from __future__ import annotations

from typing import Any, Final, Protocol

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
    """The request of the effect `channel-deliver`. `kind`: reply, failure, approval. `number` counts what goes out of
    the conversation: a channel that knows keys makes one of (conversation, number)."""

    channel: str
    conversation: str
    number: int
    kind: str
    text: str
    data: Any = None
    attempt: int = 1


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the channel said: its own id of the message (of each part, when it was split)."""

    ids: list[str] = []
    note: str = ""


class Channel(Protocol):
    """The pure half of a channel: no socket, no clock. The other half is in `infra/channels`."""

    name: str

    def incoming(self, raw: Any) -> Incoming:
        """What came in, normalised. Raises InvalidData."""
        ...

    def outgoing(self, deliver: Deliver) -> list[Any]:
        """What goes out, rendered for the channel: one or more of its own messages."""
        ...
