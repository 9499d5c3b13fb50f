"""What models are writing now, one subscription per conversation however many watch it.

A watcher is a cursor, as on the log: it takes what there is when it can, several pieces as one, so nothing waits in
this process for a slow client. Whoever comes in the middle, or comes back, is given all of the answer so far, to begin
again with. The text that counts is in the log.
"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Final

import msgspec

from actors.models.port import LiveChunk
from events.bus import Subscription
from gateway.http.door import Live

log = logging.getLogger("thespis.http")

TOPIC: Final = "chunk"

KEPT: Final = 1 << 20
"""Characters of one answer that are shown before it is there."""

LINGER: Final = 30.0
"""Seconds that an answer under way is remembered for somebody who comes back."""

_decode = msgspec.json.Decoder(LiveChunk).decode


class Seen(msgspec.Struct):
    """How far a watcher is: which answer, and how many of its pieces."""

    turn: int = 0
    step: int = 0
    beginning: int = -1
    pieces: int = 0


class Shown(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a watcher is sent: as a LiveChunk, `index` of its first piece. `gap`: what came before was missed."""

    turn: int
    step: int
    attempt: int
    index: int
    text: str = ""
    tool: str = ""
    done: bool = False
    reset: bool = False
    gap: bool = False


class Showing:
    """The answer that is written in one conversation now. `changed` wakes those who watch."""

    def __init__(self) -> None:
        self.watchers = 0
        self._turn: int = 0
        self._step: int = 0
        self._attempt: int = 0
        self._beginning = 0
        self._pieces: list[LiveChunk] = []
        self._size = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def saw(self, topic: str, data: bytes) -> None:
        """Take a piece from the live plane. What does not read as one is left out."""
        if topic != TOPIC:
            return
        try:
            piece = _decode(data)
        except msgspec.DecodeError:
            log.warning("a piece on the live plane cannot be read")
            return
        place, here = (piece.turn, piece.step, piece.attempt), (self._turn, self._step, self._attempt)
        if place < here:
            return
        if place > here or piece.reset:
            self._turn, self._step, self._attempt = place
            self._beginning += 1
            self._pieces, self._size = [], 0
        elif self._pieces and piece.index <= self._pieces[-1].index:
            return
        self._size += len(piece.text)
        if self._size <= KEPT or piece.done:
            self._pieces.append(piece)
            self._wake()

    def next(self, seen: Seen) -> Shown | None:
        """What the watcher has not seen, as one piece; None when it has seen everything. Moves the watcher on."""
        fresh = seen.beginning != self._beginning
        start = 0 if fresh else seen.pieces
        pieces = self._pieces[start:]
        if not pieces:
            return None
        first = 0 if start == 0 else self._pieces[start - 1].index + 1
        # Only of one and the same answer can there be something to replace; a watcher that just came may have some.
        again = fresh and (seen.beginning < 0 or (seen.turn, seen.step) == (self._turn, self._step))
        seen.turn, seen.step = self._turn, self._step
        seen.beginning, seen.pieces = self._beginning, len(self._pieces)
        return Shown(
            self._turn, self._step, self._attempt, pieces[0].index, "".join(piece.text for piece in pieces),
            next((piece.tool for piece in reversed(pieces) if piece.tool), ""), pieces[-1].done, again,
            pieces[0].index > first and not pieces[0].reset,
        )  # fmt: skip

    def passed(self, seen: Seen) -> bool:
        """Whether there is nothing new for a watcher."""
        return seen.beginning == self._beginning and seen.pieces == len(self._pieces)

    def waiter(self) -> asyncio.Future[None]:
        """Done when something changes, or cancelled by whoever does not wait any more."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        waiter.add_done_callback(self._waiters.discard)
        return waiter

    def _wake(self) -> None:
        for waiter in list(self._waiters):
            if not waiter.done():
                waiter.set_result(None)


class Shows:
    """The conversations of this door that somebody watches, or did a moment ago."""

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self._open: dict[tuple[str, str], tuple[Showing, Subscription]] = {}
        self._closing: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._lock = asyncio.Lock()
        self._ends: set[asyncio.Task[None]] = set()

    def watch(self, tenant: str, actor: str) -> Watch:
        """Watch a conversation, as an async context manager."""
        return Watch(self, (tenant, actor))

    async def enter(self, key: tuple[str, str]) -> Showing:
        """One more watches. Without a live plane nothing is ever shown."""
        if self._live is None:
            return Showing()
        async with self._lock:
            if (timer := self._closing.pop(key, None)) is not None:
                timer.cancel()
            found = self._open.get(key)
            if found is None:
                showing = Showing()
                found = self._open[key] = (showing, await self._live.watch(*key, showing.saw))
            found[0].watchers += 1
            return found[0]

    def leave(self, key: tuple[str, str], showing: Showing) -> None:
        """One less watches."""
        showing.watchers -= 1
        found = self._open.get(key)
        if found is not None and found[0] is showing and not showing.watchers:
            self._closing[key] = asyncio.get_running_loop().call_later(LINGER, self._end, key)

    def _end(self, key: tuple[str, str]) -> None:
        self._closing.pop(key, None)
        found = self._open.get(key)
        if found is not None and not found[0].watchers:
            del self._open[key]
            task = asyncio.get_running_loop().create_task(found[1].stop())
            self._ends.add(task)
            task.add_done_callback(self._ends.discard)

    async def close(self) -> None:
        """Watch nothing any more."""
        for timer in self._closing.values():
            timer.cancel()
        self._closing.clear()
        for _, subscription in self._open.values():
            await subscription.stop()
        self._open.clear()


class Watch:
    """One watcher, for as long as the block lasts."""

    def __init__(self, shows: Shows, key: tuple[str, str]) -> None:
        self._shows = shows
        self._key = key
        self._showing: Showing | None = None

    async def __aenter__(self) -> Showing:
        self._showing = await self._shows.enter(self._key)
        return self._showing

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._showing is not None, "entered before"
        self._shows.leave(self._key, self._showing)
