"""The pure half of the channel `http`: the body of a request in, objects for JSON out."""

from __future__ import annotations

from typing import Any, Final, cast
from urllib.parse import quote

import msgspec

from actors.channels.port import Capabilities, Channel, Deliver, Incoming
from actors.channels.rendering import Button, said
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


def incoming(raw: Any) -> Incoming:
    """(conversation, principal, body) as one shape. Raises InvalidData."""
    place, principal, body = cast("tuple[str, str, Any]", raw)
    try:
        came = msgspec.convert(body, Body)
    except msgspec.ValidationError as error:
        raise InvalidData(f"this is no message: {error}") from None
    if len(came.text) > LONGEST:
        raise InvalidData(f"{len(came.text)} characters, {LONGEST} are allowed")
    # What somebody sends in the name of another is not that other's own word.
    label = "" if came.sender in ("", principal) else "untrusted/private"
    return Incoming(
        "http", place, came.id, came.sender or principal, came.text, list(came.attachments), label, came.agent
    )  # fmt: skip


def outgoing(deliver: Deliver, can: Capabilities) -> list[Any]:
    """Objects that a client shows: a text each, and the requests that its buttons make."""
    return [
        {
            "number": deliver.number,
            "kind": deliver.kind,
            "text": one.text,
            "data": deliver.data if deliver.kind == "reply" else None,
            "buttons": [_request(button) for button in one.buttons],
        }
        for one in said(deliver, can)
    ]


def _request(button: Button) -> dict[str, Any]:
    body = {"digest": button.digest} if button.action == "approve" else {}
    path = f"/v1/approvals/{quote(button.approval, safe='')}/{button.action}"
    return {"label": button.label, "method": "POST", "path": path, "body": body}


HTTP: Final = Channel(Capabilities(True, 0, markdown=True, buttons=True, streaming=True), outgoing, incoming)
"""Whoever speaks HTTP. It is pulled: what goes out is read as events, from any position."""
