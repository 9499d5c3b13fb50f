"""GET /v1/conversations/{id}/stream: a conversation as server-sent events.

What is committed comes as `event: <Type>` with its position as `id`: a reader that comes back with `Last-Event-ID` gets
what follows, without a gap or a double. What a model is writing comes as `event: chunk` without an id. A chunk with
`reset` replaces what was shown of its step; the text that counts is in `ModelAnswered` and `TurnReplied`.
"""

from __future__ import annotations

from contextlib import aclosing

import msgspec
from aiohttp import web

from events.envelope import Event
from gateway.http.conversation_feed import Feed, exists
from gateway.http.keys import SHOWS
from gateway.http.render import event_json
from gateway.http.route import Call
from gateway.http.sse import Writer, live
from gateway.http.stream import start_of

_encode = msgspec.json.Encoder().encode


async def stream(call: Call) -> web.StreamResponse:
    """Send a conversation as it goes on."""
    address, cursor = await exists(call, call.path("id")), await start_of(call)
    begin = f"retry: 1000\n: after {cursor}\n\n".encode()
    return await live(call, begin, lambda writer: _follow(call, writer, address, cursor))


async def _follow(call: Call, writer: Writer, address: str, cursor: int) -> None:
    feed = Feed(call, address, cursor)
    async with call.request.app[SHOWS].watch(call.tenant, address) as showing, aclosing(feed.frames(showing)) as frames:
        async for frame in frames:
            match frame:
                case None:
                    await writer.send(f": at {feed.cursor}\n\n".encode())
                case list():
                    await writer.send(b"".join(map(_committed, frame)))
                    call.door.metrics.add("thespis_http_streamed_events_total", len(frame))
                case _:
                    await writer.send(b"event: chunk\ndata: %b\n\n" % _encode(frame))
    await writer.send(f": {feed.ended}\n\n".encode())


def _committed(event: Event) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.position, event.type.encode(), event_json(event))
