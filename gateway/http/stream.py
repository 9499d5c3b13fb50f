"""GET /v1/events/stream: the log as server-sent events, from any position on, without a gap or a double.

Each client is a cursor: what it is sent is read from the log by position, only as fast as it takes it. Nothing waits in
this process for a slow client; one that takes nothing for `slow_client` seconds is cut off and may come back with
`Last-Event-ID`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable

import msgspec
from aiohttp import web

from events.envelope import Event
from events.errors import Busy, InvalidData, ThespisError
from gateway.http.events import look
from gateway.http.filters import Filter, wanted
from gateway.http.guard import outward
from gateway.http.keys import CLOSING, GUARD, TAIL
from gateway.http.pace import Pace
from gateway.http.params import MAX_POSITION
from gateway.http.render import event_json
from gateway.http.route import EVENT_STREAM, Call
from gateway.http.tail import Tail
from gateway.problems import problem

_CHUNK = 64 << 10
_PAGE = 512


async def stream(call: Call) -> web.StreamResponse:
    """Send events as they are committed; a comment when there are none for a while."""
    metrics = call.door.metrics
    if metrics.get("thespis_http_streams") >= call.settings.max_streams:
        raise Busy(f"{call.settings.max_streams} live streams are open", retry_after=5.0)
    metrics.add("thespis_http_streams")
    try:
        return await _stream(call)
    finally:
        metrics.add("thespis_http_streams", -1)


async def _stream(call: Call) -> web.StreamResponse:
    request, wants = call.request, wanted(call)
    cursor = await _start(call)
    response = web.StreamResponse(headers={"Content-Type": EVENT_STREAM, "X-Accel-Buffering": "no"})
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    writer = _Writer(call, response)
    try:
        await writer.send(f"retry: 1000\n: after {cursor}\n\n".encode())
        await _follow(call, writer, wants, cursor)
    except ConnectionError:
        pass
    except TimeoutError:
        metrics = call.door.metrics
        metrics.add("thespis_http_slow_streams_total")
        if request.transport is not None:
            request.transport.abort()
    except ThespisError as error:
        document = msgspec.json.encode(problem(outward(error, call.principal)))
        with contextlib.suppress(ConnectionError, TimeoutError):
            await writer.send(b"event: problem\ndata: " + document + b"\n\n")
    return response


async def _follow(call: Call, writer: _Writer, wants: Filter, cursor: int) -> None:
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


async def _start(call: Call) -> int:
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


class _Writer:
    """Sends to one client, in pieces of about `_CHUNK` bytes, each within `slow_client` seconds."""

    def __init__(self, call: Call, response: web.StreamResponse) -> None:
        self._call = call
        self._response = response
        self.at = time.monotonic()

    async def events(self, events: Iterable[Event]) -> None:
        """Send events, each with its position as `id`."""
        pieces: list[bytes] = []
        size = count = 0
        for event in events:
            piece = b"id: %d\ndata: %b\n\n" % (event.position, event_json(event))
            pieces.append(piece)
            size += len(piece)
            count += 1
            if size >= _CHUNK:
                await self.send(b"".join(pieces))
                pieces.clear()
                size = 0
        if pieces:
            await self.send(b"".join(pieces))
        self._call.door.metrics.add("thespis_http_streamed_events_total", count)

    async def send(self, data: bytes) -> None:
        """Raises TimeoutError when the client takes nothing, ConnectionError when it is gone."""
        self.at = time.monotonic()
        async with asyncio.timeout(self._call.settings.slow_client):
            await self._response.write(data)
