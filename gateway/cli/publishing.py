"""Publishing lines of CloudEvents: in order, in batches, safely repeated, every bad line named.

An event is known by (source, id), so sending one again changes nothing and answers the same position. That makes every
repetition here safe: a retry after a lost answer, a batch cut in two to find its bad line, a run started over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from events import errors
from events.errors import ThespisError
from gateway.cli.lines import Line, batches
from gateway.cli.retrying import Pause, retrying

BATCH: Final = 500
BATCH_BYTES: Final = 1 << 20

Send = Callable[[bytes], Awaitable[Sequence[dict[str, Any]]]]
"""Sends one JSON array of CloudEvents; returns `{"id", "position"}` of each, in order."""


class _Head(msgspec.Struct):
    specversion: str
    id: str
    source: str
    type: str


_head = msgspec.json.Decoder(_Head).decode


class Published(msgspec.Struct):
    """What came of a run. Positions are 0 when nothing was published; `line` is the last one dealt with."""

    published: int = 0
    bad: int = 0
    first: int = 0
    last: int = 0
    line: int = 0


def fault(text: bytes | None) -> str:
    """Why a line is not a CloudEvent, or the empty string."""
    if text is None:
        return "the line is too long"
    try:
        text.decode()
        head = _head(text)
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start + 1}"
    except msgspec.MsgspecError as error:
        return f"not a CloudEvent in JSON: {error}"
    if head.specversion != "1.0":
        return f"specversion is {head.specversion!r}, not '1.0'"
    for name in ("id", "source", "type"):
        if not getattr(head, name):
            return f"{name} is empty"
    return ""


class Publisher:
    """One run. `on_bad` gets each bad line's number and fault, `on_acks` the answers, `advance` lines dealt with.

    The first failure to reach the server is final; after a success it is tried again for `patience` seconds.
    """

    def __init__(
        self,
        send: Send,
        *,
        on_bad: Callable[[int, str], None],
        on_acks: Callable[[Sequence[dict[str, Any]]], None] = lambda _acks: None,
        advance: Callable[[int], None] = lambda _lines: None,
        patience: float = 60.0,
        pause: Pause = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._on_bad = on_bad
        self._on_acks = on_acks
        self._advance = advance
        self._patience = patience
        self._pause = pause
        self._now = now
        self.result = Published()

    async def run(self, groups: AsyncIterator[list[Line]], from_line: int = 1) -> Published:
        """Publish every line from `from_line` on. Raises what ends the run; `result.line` then says how far it came."""
        async for group in groups:
            for batch in batches((line for line in group if line.number >= from_line), BATCH, BATCH_BYTES):
                good: list[Line] = []
                for line in batch:
                    why = fault(line.text)
                    if why:
                        self._bad(line, why)
                    else:
                        good.append(line)
                if good:
                    await self._publish(good)
                self.result.line = batch[-1].number
                self._advance(len(batch))
        return self.result

    async def _publish(self, lines: list[Line]) -> None:
        body = b"[" + b",".join(line.text or b"" for line in lines) + b"]"
        try:
            acks = await retrying(
                lambda: self._send(body),
                patience=self._patience,
                reached=self.result.published > 0,
                pause=self._pause,
                now=self._now,
            )
        except (errors.Invalid, errors.Conflict, errors.Refused, errors.Parked) as error:
            if len(lines) == 1:
                self._bad(lines[0], f"{error.message.removeprefix('event 0: ')} [{error.code}]")
                return
            half = len(lines) // 2
            await self._publish(lines[:half])
            await self._publish(lines[half:])
            return
        if len(acks) != len(lines):
            raise ThespisError(
                f"the server answered for {len(acks)} of {len(lines)} events", hint="is it of the same version?"
            )
        result = self.result
        result.published += len(acks)
        result.first = result.first or acks[0]["position"]
        result.last = max(result.last, *(ack["position"] for ack in acks))
        self._on_acks(acks)

    def _bad(self, line: Line, why: str) -> None:
        self.result.bad += 1
        self._on_bad(line.number, why)
