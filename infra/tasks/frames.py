"""What passes between a host and its child processes: four bytes of length, then MessagePack."""

from __future__ import annotations

from struct import Struct
from typing import Any, Final

import msgspec

LENGTH: Final = Struct("!I")
_encode = msgspec.msgpack.Encoder().encode


class Setup(msgspec.Struct, tag=True):
    """First of all: where to import from."""

    path: list[str]


class Call(msgspec.Struct, tag=True):
    """Call a function: pickled by reference, as is the type of its input; the input is JSON."""

    function: bytes
    input_type: bytes
    input: bytes
    wants_context: bool
    task: str
    tenant: str
    run: str
    step: str
    attempt: int
    key: str
    packages: dict[str, list[str]] = {}
    """Packages that are on no path: name → directories."""


class Stop(msgspec.Struct, tag=True):
    """Ask the function to stop."""


class Said(msgspec.Struct, tag=True):
    """The function gave a sign of life; with progress, if `what` says so (JSON)."""

    what: str
    data: bytes


class Returned(msgspec.Struct, tag=True):
    """The result as JSON, or what went wrong; and what was used."""

    output: bytes = b""
    kind: str = ""
    message: str = ""
    data: bytes = b"null"
    used: dict[str, str] = {}


Down = Setup | Call | Stop
Up = Said | Returned

decode_down: Any = msgspec.msgpack.Decoder(Down).decode
decode_up: Any = msgspec.msgpack.Decoder(Up).decode


def frame(message: Any) -> bytes:
    """The message with its length before it."""
    body = _encode(message)
    return LENGTH.pack(len(body)) + body
