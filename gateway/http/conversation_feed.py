"""A conversation as it goes on: its committed events in order, none missing and none twice, and what is being written.

Everything committed has its position in the log, from which a reader may go on; what is being written has none, and is
not sent once the text of its step is committed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from events.address import address
from events.envelope import Event
from events.errors import NotFound
from gateway.http.events import look
from gateway.http.filters import Filter
from gateway.http.keys import CLOSING, GUARD, TAIL
from gateway.http.pace import Pace
from gateway.http.route import Call
from gateway.http.showing import Seen, Showing, Shown

_PAGE: Final = 512
_LAST: Final = 1 << 62

Frame = list[Event] | Shown | None
"""Committed events, a piece of an answer, or nothing for a while."""


class _Place(msgspec.Struct):
    """The members of an event that say which answer it is about."""

    turn: int = 0
    step: int = 0


_place = msgspec.json.Decoder(_Place).decode


def stream_of(id: str) -> str:
    """The address of a conversation. Raises InvalidName."""
    return address("conversation", id)


async def exists(call: Call, id: str) -> str:
    """The address of a conversation that was begun. Raises NotFound, InvalidName."""
    stream = stream_of(id)
    if not await call.door.store.read_stream(call.tenant, stream, limit=1):
        raise NotFound(f"there is no conversation {id!r}", hint="`GET /v1/conversations` lists them")
    return stream


class Feed:
    """One conversation from a position on, for a token that has the scope."""

    def __init__(self, call: Call, stream: str, cursor: int, scope: str = "conversations:read") -> None:
        self._call = call
        self._wants = Filter(call.tenant, stream=stream)
        self._answered = (0, 0)
        self._pace = Pace(_PAGE)
        self.cursor = cursor
        self._scope = scope
        self.ended = ""
        """Why there are no more frames."""

    async def frames(self, showing: Showing) -> AsyncGenerator[Frame]:
        """Everything as it comes; None when nothing does for `heartbeat` seconds. Ends when the door closes, or the
        token is not valid any more."""
        app, settings = self._call.request.app, self._call.settings
        closing, guard = app[CLOSING], app[GUARD]
        seen = Seen()
        checked = time.monotonic()
        while not closing.is_set():
            events = await self.events()
            if events:
                yield events
            elif events is None:
                piece = showing.next(seen)
                if piece is None:
                    if not await self.something(showing, settings.heartbeat):
                        yield None
                elif piece.step and (piece.turn, piece.step) > self._answered:
                    yield piece
            if time.monotonic() - checked >= settings.heartbeat:
                checked = time.monotonic()
                if not await guard.still(self._call.request, self._scope):
                    self.ended = "the token is not valid any more"
                    return
        self.ended = "closing"

    async def events(self) -> list[Event] | None:
        """The next events; none when those looked at are of others. None at the head."""
        tail = self._call.request.app[TAIL]
        if self.cursor < tail.first - 1:
            # Far behind: the log finds a stream by itself.
            store = self._call.door.store
            page = await look(store, self._wants, self.cursor, _PAGE, await store.head(), self._call.settings.max_scan)
            found, self.cursor = page.events, page.next
        else:
            events = await tail.read(self.cursor, self._pace.size)
            self._pace.saw(events)
            if not events:
                return None
            found, self.cursor = [event for event in events if self._wants(event)], events[-1].position
        for event in found:
            self._note(event)
        return found

    async def something(self, showing: Showing, timeout: float) -> bool:
        """Wait for a commit or a piece; False when neither came within `timeout` seconds."""
        head = asyncio.ensure_future(self._call.door.heads.beyond(self.cursor, timeout))
        piece = showing.waiter()
        try:
            await asyncio.wait((head, piece), return_when=asyncio.FIRST_COMPLETED)
            return piece.done() or head.result()
        finally:
            piece.cancel()
            head.cancel()

    def _note(self, event: Event) -> None:
        """Keep in mind up to which step the text is committed."""
        if event.type == "ModelAnswered":
            place = _place(event.data)
            self._answered = max(self._answered, (place.turn, place.step))
        elif event.type == "TurnEnded":
            self._answered = max(self._answered, (_place(event.data).turn, _LAST))
