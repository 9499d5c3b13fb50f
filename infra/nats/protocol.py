"""The NATS wire protocol: a fast reader for nats-py's connection, and the bytes of headers and commands.

nats-py connects, authenticates, pings and reconnects. Its own reader costs several regular expressions, a header
dictionary, a queue and a task switch per message; this one hands messages of chosen subscriptions straight to a plain
function and gives everything else to nats-py as before.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from nats import errors
from nats.aio.client import Client

log = logging.getLogger("thespis.nats")

Receive = Callable[[bytes, bytes, bytes, bytes], None]
"""Called with (subject, reply or b"", header block or b"", payload)."""

_CONTROL = re.compile("[\r\n]")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Reader:
    """Replaces `nats.protocol.parser.Parser` of one client: the same two methods, `parse` and `reset`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.direct: dict[bytes, Receive] = {}
        """Subscription id (as sent by the server) → function."""
        self._rest = b""
        self._generation = 0

    def reset(self) -> None:
        """Forget half a message: a new connection begins."""
        self._rest = b""
        self._generation += 1

    async def parse(self, data: bytes) -> None:
        """Take what arrived, hand on every complete message, keep the rest."""
        buffer = self._rest + data if self._rest else data
        generation = self._generation
        at, end = 0, len(buffer)
        direct = self.direct
        while at < end:
            line_end = buffer.find(b"\r\n", at)
            if line_end < 0:
                break
            first = buffer[at]
            if first == 77 or first == 72:  # M(SG), H(MSG)
                words = buffer[at:line_end].split()
                size = int(words[-1])
                start = line_end + 2
                stop = start + size
                if stop + 2 > end:
                    break
                at = stop + 2
                if first == 77:
                    reply = words[3] if len(words) == 5 else b""
                    head = b""
                else:
                    reply = words[3] if len(words) == 6 else b""
                    split = start + int(words[-2])
                    head = buffer[start:split]
                    start = split
                receive = direct.get(words[2])
                if receive is None:
                    await self._client_message(words, reply, head, buffer[start:stop])
                else:
                    try:
                        receive(words[1], reply, head, buffer[start:stop])
                    except Exception:
                        log.exception("a receiver of %s failed", words[1].decode(errors="replace"))
                        continue
                    continue
            else:
                line = buffer[at:line_end]
                at = line_end + 2
                await self._operation(line)
            if generation != self._generation:
                return
        self._rest = buffer[at:] if at else buffer

    async def _client_message(self, words: list[bytes], reply: bytes, head: bytes, payload: bytes) -> None:
        await self.client._process_msg(int(words[2]), words[1], reply, payload, head)

    async def _operation(self, line: bytes) -> None:
        client: Any = self.client
        word = line[:4].upper()
        if word == b"PING":
            await client._process_ping()
        elif word == b"PONG":
            if client._pongs and client._pongs[0].done():  # a flush that timed out: its late pong would raise
                client._pongs.pop(0)
                client._pings_outstanding = 0
            else:
                await client._process_pong()
        elif word == b"INFO":
            await client._process_info(json.loads(line[5:]))
        elif word == b"-ERR":
            text = line[5:].decode(errors="replace").strip("' ")
            error = errors.Error(f"nats: {text}")
            lower = text.lower()
            if "permissions violation" in lower or "invalid subject" in lower:
                await client._error_cb(error)
            else:  # the server closes this connection: reconnect, where nats-py would close for good
                await client._process_op_err(error)
        elif word[:3] != b"+OK":
            await client._process_op_err(errors.ProtocolError())


def decode_headers(block: bytes) -> dict[str, str]:
    """A header block as a dict, keys as sent; an inline status becomes `Status` and `Description`, as in nats-py."""
    lines = block.decode("utf-8", "replace").split("\r\n")
    out: dict[str, str] = {}
    if len(lines[0]) > 8:
        status, _, description = lines[0][8:].strip().partition(" ")
        out["Status"] = status
        if description:
            out["Description"] = description
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            out[name] = value.strip()
    return out


def status_of(block: bytes) -> int:
    """The inline status of a header block (100, 404, 503 …), or 0."""
    return int(block[9:12]) if block[8:9] == b" " and block[9:12].isdigit() else 0


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """A header block. Raises ValueError for a name or value that would break it."""
    lines = ["NATS/1.0"]
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or _CONTROL.search(value):
            raise ValueError(f"header {name!r} cannot be sent")
        lines.append(f"{name}: {value}")
    lines.append("\r\n")
    return "\r\n".join(lines).encode()


def publication(subject: str, data: bytes, headers: Mapping[str, str] | None = None, reply: str = "") -> bytes:
    """A PUB or HPUB command."""
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
