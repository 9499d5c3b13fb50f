"""The NATS wire protocol, as far as we write it ourselves: headers and publications as bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from events.errors import InvalidData, InvalidName

_CONTROL = re.compile("[\r\n]")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def decode_headers(block: bytes) -> dict[str, str]:
    """A header block as a dict, keys as sent; an inline status becomes `Status` and `Description`, as in nats-py."""
    first, *lines = block.decode("utf-8", "replace").split("\r\n")
    out: dict[str, str] = {}
    if len(first) > 8:
        status, _, description = first[8:].strip().partition(" ")
        out["Status"] = status
        if description:
            out["Description"] = description
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            out[name] = value.strip()
    return out


def status_of(block: bytes) -> int:
    """The inline status of a header block (100, 404, 503 …), or 0."""
    return int(block[9:12]) if block[8:9] == b" " and block[9:12].isdigit() else 0


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """A header block. Raises InvalidData for a name or value that would break it."""
    lines = ["NATS/1.0"]
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or _CONTROL.search(value):
            raise InvalidData(f"header {name!r} cannot be sent: {value[:80]!r}")
        lines.append(f"{name}: {value}")
    lines.append("\r\n")
    try:
        return "\r\n".join(lines).encode()
    except UnicodeEncodeError:
        raise InvalidData("a header is not Unicode text") from None


def publication(subject: str, data: bytes, headers: Mapping[str, str] | None = None, reply: str = "") -> bytes:
    """A PUB or HPUB command. Raises InvalidName, InvalidData."""
    if " " in subject or not subject.isprintable() or not subject:
        raise InvalidName(f"{subject!r} is not a subject to send to")
    if headers:
        block = encode_headers(headers)
        return b"HPUB %b %b %d %d\r\n%b%b\r\n" % (
            subject.encode(),
            reply.encode(),
            len(block),
            len(block) + len(data),
            block,
            data,
        )
    return b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), reply.encode(), len(data), data)
