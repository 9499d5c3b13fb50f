"""GET /v1/actors/{kind}/{id}/history: versions with their events and states, as server-sent events; one fold."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from aiohttp import web

from actors.core.history import Step
from events.errors import InvalidData, NotFound, UnknownType, Unserved
from gateway.http.commands import target
from gateway.http.render import event_out
from gateway.http.route import Call
from gateway.http.sse import Writer, live

_CHUNK = 64 << 10
_encode = msgspec.json.Encoder().encode


async def history(call: Call) -> web.StreamResponse:
    """Send the versions `from` to `to`, or to the newest; `id` is the version, the last event is `end`.

    A client that comes back with `Last-Event-ID` goes on after it. Raises NotFound before anything is sent.
    """
    address, query = target(call), call.query
    first = _start(call)
    newest = await call.door.store.read_stream(call.tenant, address, first - 1, limit=1)
    if not newest or newest[0].version != first:
        raise NotFound(f"{address} has no version {first}", hint="versions count from 1")
    steps = call.door.history(call.tenant, address, first, query.to)
    try:
        begin = await anext(steps, None)
    except UnknownType as error:
        raise Unserved(f"no host here can fold {address}: {error.message}") from None
    return await live(call, b"retry: 1000\n\n", lambda writer: _send(writer, begin, steps))


async def _send(writer: Writer, begin: Step | None, steps: AsyncGenerator[Step]) -> None:
    last, pieces, size = 0, list[bytes](), 0
    async with aclosing(steps):
        if begin is not None:
            pieces.append(_line(begin))
            last = begin.event.version
        async for step in steps:
            pieces.append(_line(step))
            last = step.event.version
            size += len(pieces[-1])
            if size >= _CHUNK:
                await writer.send(b"".join(pieces))
                pieces, size = [], 0
    pieces.append(b"event: end\ndata: %d\n\n" % last)
    await writer.send(b"".join(pieces))


def _line(step: Step) -> bytes:
    body = _encode({"event": event_out(step.event), "state": msgspec.Raw(step.state)})
    return b"id: %d\ndata: %b\n\n" % (step.event.version, body)


def _start(call: Call) -> int:
    text = call.request.headers.get("Last-Event-ID", "").strip()
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidData(f"Last-Event-ID {text[:40]!r} is not a version", hint="it is the id of the last event seen")
    first: int = int(text) + 1 if text else call.query.first
    if call.query.to is not None and call.query.to < first:
        raise InvalidData(f"versions {first} to {call.query.to} are none", hint="`to` is not below `from`")
    return first
