"""Answers on the live plane while they are written: the first piece at once, then at most `RATE` messages a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from actors.models.port import Chunk, LiveChunk, ModelCall
from events.errors import ThespisError
from infra.nats.live import show
from infra.nats.wire import Wire

TOPIC: Final = "chunk"
RATE: Final = 50.0

Show = Callable[[str, str, LiveChunk], None]
"""Called with the tenant, the actor and a piece."""


def shown(bus: Wire) -> Show:
    """A function that shows pieces on the topic `chunk` of their actor."""

    def said(tenant: str, actor: str, chunk: LiveChunk) -> None:
        with suppress(ThespisError):
            show(bus, tenant, actor, TOPIC, msgspec.json.encode(chunk))

    return said


class Showing:
    """The pieces of one call, gathered and shown. `end` shows what is left; nothing is shown after it."""

    def __init__(self, call: ModelCall, tenant: str, show: Show, now: Callable[[], int]) -> None:
        self._call = call
        self._tenant = tenant
        self._show = show
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._text: list[str] = []
        self._reset = call.attempt > 1
        """What an attempt before this one has shown is replaced."""
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.first = 0
        self.chunks = 0

    def piece(self, chunk: Chunk) -> None:
        """A piece came."""
        self.first = self.first or self._now()
        if chunk.text:
            self._text.append(chunk.text)
        for use in chunk.tool_uses:
            self._send(tool=use.name)
        if not self._text or self._timer is not None:
            return
        wait = self._due - self._loop.time()
        if wait <= 0:
            self._send()
        else:
            self._timer = self._loop.call_later(wait, self._send)

    def broken(self) -> None:
        """What was shown, and what waits to be, is not what will be said."""
        self._text.clear()
        self._stop()
        self._reset = self._reset or self.chunks > 0

    def end(self) -> None:
        """Nothing more comes."""
        self._send(done=True)

    def close(self) -> None:
        """Show nothing more."""
        self._stop()

    def _send(self, *, tool: str = "", done: bool = False) -> None:
        self._stop()
        text, reset = "".join(self._text), self._reset
        self._text.clear()
        self._reset = False
        call = self._call
        self._show(
            self._tenant, call.actor,
            LiveChunk(call.turn, call.step, call.attempt, self.chunks, text, tool, done, reset),
        )  # fmt: skip
        self.chunks += 1
        self._due = self._loop.time() + 1 / RATE

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
