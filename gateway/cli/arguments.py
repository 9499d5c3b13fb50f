"""Arguments that commands share: addresses, JSON bodies, times of waiting."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from events.address import split
from events.errors import InvalidData


class Address(click.ParamType[str]):
    """`kind/id`."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address, validated. Raises InvalidName."""
        split(value)
        return value


def json_argument(text: str, what: str) -> bytes:
    """JSON given as text, as `@file` or as `-` (standard input), compacted. Raises InvalidData, OSError."""
    if text == "-":
        content = sys.stdin.buffer.read()
    elif text.startswith("@"):
        content = Path(text[1:]).read_bytes()
        what = text[1:]
    else:
        content = text.encode("utf-8", "surrogateescape")
    try:
        content.decode()
        return msgspec.json.format(msgspec.json.encode(msgspec.json.decode(content)), indent=-1)
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise InvalidData(
            f"{what} is not JSON: {error}",
            hint="""give JSON text such as '{"amount": 5}', @FILE, or - for standard input""",
        ) from None
