"""A conversation as it goes on: its committed events in order, none missing and none twice, and what is being written.

Of the tool calls under way come the events that somebody who watches can do something about: that agreement is needed,
that it was given, that the call began and ended. Everything committed has its position in the log, from which a reader
may go on; what is being written has none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any, Final

import msgspec

from events.address import address
from events.envelope import Event
from events.errors import NotFound
from gateway.http.events import look, version_at
from gateway.http.filters import Filter
from gateway.http.keys import CLOSING, GUARD, TAIL
from gateway.http.pace import Pace
from gateway.http.route import Call
from gateway.http.showing import Seen, Showing, Shown

OF_CALLS: Final = frozenset(("CallApprovalAsked", "CallApproved", "CallBegun", "CallEnded"))
"""What is told of the tool calls of a conversation."""

_PAGE: Final = 512
_BACK: Final = 256
_AT_ONCE: Final = 16
_LAST: Final = 1 << 62

Frame = list[Event] | Shown | None
"""Committed events, a piece of an answer, or nothing for a while."""


class _Place(msgspec.Struct):
    """The members of events that say where a conversation is."""

    turn: int = 0
    step: int = 0
    call: str = ""


_place = msgspec.json.Decoder(_Place).decode


def stream_of(id: str) -> str:
    """The address of a conversation. Raises InvalidName."""
    return address("conversation", id)


def call_stream(call: str) -> str:
    """The address of a call, however it is named."""
    return call if call.startswith("call/") else f"call/{call}"


async def exists(call: Call, id: str) -> str:
    """The address of a conversation that was begun. Raises NotFound, InvalidName."""
    stream = stream_of(id)
    if not await call.door.store.read_stream(call.tenant, stream, limit=1):
        raise NotFound(f"there is no conversation {id!r}", hint="GET /v1/conversations lists them")
    return stream


class Feed:
    """One conversation from a position on."""

    def __init__(self, call: Call, stream: str, cursor: int, scope: str = "conversations:read") -> None:
        self._call = call
        self._scope = scope
        self._wants = Filter(call.tenant, stream=stream)
        self._calls: set[str] | None = None
        self._answered = (0, 0)
        self._pace = Pace(_PAGE)
        self.cursor = cursor
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
                    if not await self._something(showing):
                        yield None
                elif (piece.turn, piece.step) > self._answered:
                    yield piece
            if time.monotonic() - checked >= settings.heartbeat:
                checked = time.monotonic()
                if not await guard.still(self._call.request, self._scope):
                    self.ended = "the token is not valid any more"
                    return
        self.ended = "closing"

    async def events(self) -> list[Event] | None:
        """The next events; none of many that were looked at may be of this conversation. None at the head."""
        if self._calls is None:
            self._calls = await self._under_way()
        tail = self._call.request.app[TAIL]
        if self.cursor < tail.first - 1:
            # Far behind: the log finds a stream by itself.
            return [event for event in await self._behind() if self._is_ours(event)]
        events = await tail.read(self.cursor, self._pace.size)
        self._pace.saw(events)
        if not events:
            return None
        self.cursor = events[-1].position
        return [event for event in events if self._is_ours(event)]

    async def _something(self, showing: Showing) -> bool:
        """Wait for a commit or a piece; False when neither came."""
        head = asyncio.ensure_future(self._call.door.heads.beyond(self.cursor, self._call.settings.heartbeat))
        piece = showing.waiter()
        try:
            await asyncio.wait((head, piece), return_when=asyncio.FIRST_COMPLETED)
            return piece.done() or (head.done() and head.result())
        finally:
            piece.cancel()
            head.cancel()

    def _is_ours(self, event: Event) -> bool:
        """Whether an event is told, in the order of the log: it may say which come later."""
        assert self._calls is not None, "known before anything is read"
        if event.tenant != self._wants.tenant:
            return False
        if event.stream == self._wants.stream:
            self._answered = max(self._answered, _note(self._calls, event))
            return True
        return event.type in OF_CALLS and event.stream in self._calls

    async def _behind(self) -> Sequence[Event]:
        """The next page of the conversation, with what its calls recorded in between."""
        store = self._call.door.store
        page = await look(store, self._wants, self.cursor, _PAGE, await store.head(), self._call.settings.max_scan)
        begun = {call_stream(_place(e.data).call) for e in page.events if e.type == "ToolAsked"}
        after, self.cursor = self.cursor, page.next
        between = [
            event
            for some in _portions(sorted((self._calls or set()) | begun))
            for events in await asyncio.gather(*(store.read_stream(self._call.tenant, one) for one in some))
            for event in events
            if after < event.position <= page.next
        ]
        return sorted([*page.events, *between], key=lambda event: event.position)

    async def _under_way(self) -> set[str]:
        """The calls that were under way at the cursor."""
        calls: set[str] = set()
        store, stream = self._call.door.store, self._wants.stream or ""
        until = await version_at(store, self._call.tenant, stream, self.cursor)
        found: list[Event] = []
        while until > 0 and not any(event.type == "TurnStarted" for event in found):
            first = max(until - _BACK, 0)
            found = [*await store.read_stream(self._call.tenant, stream, first, until), *found]
            until = first
        for event in found:
            self._answered = max(self._answered, _note(calls, event))
        return calls


def _note(calls: set[str], event: Event) -> tuple[int, int]:
    """Keep count of the calls under way; the last step whose text is known after this event."""
    match event.type:
        case "ToolAsked":
            calls.add(call_stream(_place(event.data).call))
        case "ToolAnswered":
            calls.discard(call_stream(_place(event.data).call))
        case "ModelAnswered":
            at = _place(event.data)
            return at.turn, at.step
        case "TurnEnded":
            calls.clear()
            return _place(event.data).turn, _LAST
        case _:
            pass
    return 0, 0


def _portions(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[n : n + _AT_ONCE] for n in range(0, len(names), _AT_ONCE))


def piece_out(piece: Shown) -> dict[str, Any]:
    """A piece as JSON-ready values."""
    return msgspec.to_builtins(piece)
