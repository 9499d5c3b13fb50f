"""GET /v1/events/stream: the log as server-sent events, from any position on, without a gap or a double.

Each client is a cursor: what it is sent is read from the log by position, only as fast as it takes it. Nothing waits in
this process for a slow client; one that takes nothing for `slow_client` seconds is cut off and may come back with
`Last-Event-ID`.
"""

from __future__ import annotations

import time

from aiohttp import web

from events.envelope import Event
from events.errors import InvalidData
from gateway.http.events import look
from gateway.http.filters import Filter, wanted
from gateway.http.keys import CLOSING, GUARD, TAIL
from gateway.http.pace import Pace
from gateway.http.params import MAX_POSITION
from gateway.http.route import Call
from gateway.http.sse import Writer, live
from gateway.http.tail import Tail

_PAGE = 512


async def stream(call: Call) -> web.StreamResponse:
    """Send events as they are committed; a comment when there are none for a while."""
    wants, cursor = wanted(call), await start_of(call)
    begin = f"retry: 1000\n: after {cursor}\n\n".encode()
    return await live(call, begin, lambda writer: _follow(call, writer, wants, cursor))


async def _follow(call: Call, writer: Writer, wants: Filter, cursor: int) -> None:
    app, heads, settings = call.request.app, call.door.heads, call.settings
    tail, closing, guard = app[TAIL], app[CLOSING], app[GUARD]
    checked = time.monotonic()
    pace = Pace(_PAGE)
    while not closing.is_set():
        events, cursor = await _next(call, tail, wants, cursor, pace)
        if events is None:
            await heads.beyond(cursor, settings.heartbeat)
        else:
            await writer.events(event for event in events if wants(event))
        if time.monotonic() - writer.at >= settings.heartbeat:
            await writer.send(f": at {cursor}\n\n".encode())
        if time.monotonic() - checked >= settings.heartbeat:
            checked = time.monotonic()
            if not await guard.still(call.request, "events:read"):
                await writer.send(b": the token is not valid any more\n\n")
                return
    await writer.send(b": closing\n\n")


async def _next(call: Call, tail: Tail, wants: Filter, cursor: int, pace: Pace) -> tuple[list[Event] | None, int]:
    """The events after the cursor and the new cursor; None at the head."""
    if (wants.types or wants.stream) and cursor < tail.first - 1:
        # Far behind, with a filter the log has an index for.
        store = call.door.store
        page = await look(store, wants, cursor, _PAGE, await store.head(), call.settings.max_scan)
        return page.events, page.next
    events = await tail.read(cursor, pace.size)
    pace.saw(events)
    return (events, events[-1].position) if events else (None, cursor)


async def start_of(call: Call) -> int:
    """Where to begin: `Last-Event-ID`, else `after`, else the head. Raises InvalidData."""
    head = await call.door.store.head()
    call.door.heads.ring(head)
    text = call.request.headers.get("Last-Event-ID", "").strip()
    if text and not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InvalidData(f"Last-Event-ID {text[:40]!r} is not a position", hint="it is the id of the last event seen")
    start = int(text) if text else call.query.after
    if start is None:
        return head
    if start > min(head, MAX_POSITION):
        raise InvalidData(f"position {start} is beyond the head {head}", hint="is this the log you read before?")
    return start
