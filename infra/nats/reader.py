"""A fast reader for nats-py's connection.

nats-py connects, authenticates, pings and reconnects. Its own reader costs several regular expressions, a header
dictionary, a queue and a task switch per message; this one hands messages of chosen subscriptions straight to a plain
function and gives everything else to nats-py as before.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from nats import errors
from nats.aio.client import Client

log = logging.getLogger("thespis.nats")

Receive = Callable[[bytes, bytes, bytes, bytes], None]
"""Called with (subject, reply or b"", header block or b"", payload)."""


class Reader:
    """Replaces `nats.protocol.parser.Parser` of one client: the same two methods, `parse` and `reset`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.direct: dict[bytes, Receive] = {}
        """Subscription id (as sent by the server) → function."""
        self._rest: list[bytes] = []
        self._size = 0
        self._needed = 0
        self._generation = 0

    def reset(self) -> None:
        """Forget half a message: a new connection begins."""
        self._rest = []
        self._size = self._needed = 0
        self._generation += 1

    async def parse(self, data: bytes) -> None:
        """Take what arrived, hand on every complete message, keep the rest."""
        buffer = data
        if self._rest:
            self._rest.append(data)
            self._size += len(data)
            if self._size < self._needed:  # a long message arrives in many pieces: join them once
                return
            buffer = b"".join(self._rest)
        needed = 0
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
                try:
                    size = int(words[-1])
                    block = int(words[-2]) if first == 72 else 0
                except ValueError:
                    await self.client._process_op_err(errors.ProtocolError())
                    return
                start = line_end + 2
                stop = start + size
                if stop + 2 > end:
                    needed = stop + 2 - at
                    break
                at = stop + 2
                if first == 77:
                    reply = words[3] if len(words) == 5 else b""
                    head = b""
                else:
                    reply = words[3] if len(words) == 6 else b""
                    split = start + block
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
        self._rest = [buffer[at:]] if at < end else []
        self._size, self._needed = end - at, needed

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
