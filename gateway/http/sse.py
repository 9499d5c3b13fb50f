"""Server-sent events to one client: as fast as it takes them, in pieces, with whatever goes wrong as the last event."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable

import msgspec
from aiohttp import web

from events.envelope import Event
from events.errors import Busy, ThespisError
from gateway.http.guard import outward
from gateway.http.render import event_json
from gateway.http.route import EVENT_STREAM, Call
from gateway.problems import problem

_CHUNK = 64 << 10


async def live(call: Call, begin: bytes, send: Callable[[Writer], Awaitable[None]]) -> web.StreamResponse:
    """Answer with a stream that begins with `begin` and goes on as `send` writes it. Raises Busy."""
    metrics = call.door.metrics
    if metrics.get("thespis_http_streams") >= call.settings.max_streams:
        raise Busy(f"{call.settings.max_streams} live streams are open", retry_after=5.0)
    metrics.add("thespis_http_streams")
    try:
        return await _live(call, begin, send)
    finally:
        metrics.add("thespis_http_streams", -1)


async def _live(call: Call, begin: bytes, send: Callable[[Writer], Awaitable[None]]) -> web.StreamResponse:
    request = call.request
    response = web.StreamResponse(headers={"Content-Type": EVENT_STREAM, "X-Accel-Buffering": "no"})
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    writer = Writer(call, response)
    try:
        await writer.send(begin)
        await send(writer)
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


class Writer:
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
