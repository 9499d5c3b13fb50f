"""The pure half of the channel `http`: the body of a request in, an object for JSON out."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from actors.channels.port import Deliver, Incoming
from events.errors import InvalidData

LONGEST: Final = 1_000_000
"""Characters of one message."""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent. `id` makes a repetition known; without one each message is a new one."""

    text: str
    id: str = ""
    agent: str = ""
    sender: str = ""
    attachments: list[dict[str, Any]] = []


class Http:
    """Whoever speaks HTTP. It is pulled: what goes out is read as events, from any position."""

    name = "http"

    def incoming(self, raw: Any) -> Incoming:
        """(conversation, principal, body) as one shape. Raises InvalidData."""
        place, principal, body = cast("tuple[str, str, Any]", raw)
        try:
            said = msgspec.convert(body, Body)
        except msgspec.ValidationError as error:
            raise InvalidData(f"this is no message: {error}") from None
        if len(said.text) > LONGEST:
            raise InvalidData(f"{len(said.text)} characters, {LONGEST} are allowed")
        # What somebody sends in the name of another is not that other's own word.
        label = "" if said.sender in ("", principal) else "untrusted/private"
        return Incoming(
            self.name, place, said.id, said.sender or principal, said.text, list(said.attachments), label, said.agent
        )  # fmt: skip

    def outgoing(self, deliver: Deliver) -> list[Any]:
        """The object a client is shown."""
        return [{"number": deliver.number, "kind": deliver.kind, "text": deliver.text, "data": deliver.data}]
