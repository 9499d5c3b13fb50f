"""GET /v1/conversations/{id}/socket: a conversation as a WebSocket, to be read and to be talked in.

What goes out is what the stream sends, as JSON: `{"type": "event", "position", "event"}` and `{"type": "chunk",
"chunk"}`; and the answers to what comes in: `{"type": "taken", "id", "number", "turn"}`, `{"type": "done"}`, `{"type":
"problem", "id", "problem"}`. What comes in is `{"type": "post", "text", "id"}` or `{"type": "interrupt"}`. A client
that comes back with `?after=` its last position misses nothing; one that repeats a post with its id says it once.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import Field, TypeAdapter, ValidationError

from actors.agents.messages import InterruptTurn
from events import ids
from events.errors import Busy, Forbidden, InvalidData, ThespisError
from gateway.http.asking import message, reply, send
from gateway.http.body import check_json, described
from gateway.http.conversation_feed import Feed, exists
from gateway.http.guard import outward
from gateway.http.keys import GUARD, SHOWS
from gateway.http.models import In
from gateway.http.models_conversations import InterruptIn, MessageId, Text
from gateway.http.posting import heard, post
from gateway.http.render import event_out
from gateway.http.route import Call
from gateway.http.stream import start_of
from gateway.problems import problem
from gateway.settings import is_loopback
from gateway.tokens import SCOPES

WRITE: Final = "conversations:write"

_encode = msgspec.json.Encoder().encode


class SocketPost(In):
    """Something to say."""

    type: Literal["post"]
    text: Text
    id: MessageId | None = None


class SocketInterrupt(InterruptIn):
    """End the turn under way."""

    type: Literal["interrupt"]
    id: MessageId | None = None


_incoming: TypeAdapter[SocketPost | SocketInterrupt] = TypeAdapter(
    Annotated[SocketPost | SocketInterrupt, Field(discriminator="type")]
)


async def socket(call: Call) -> web.StreamResponse:
    """Speak with one client until it leaves, the door closes, or its token is not valid any more."""
    check_origin(call)
    address, cursor = await exists(call, call.path("id")), await start_of(call)
    settings, metrics = call.settings, call.door.metrics
    ws = web.WebSocketResponse(heartbeat=settings.heartbeat, max_msg_size=settings.max_event, compress=False)
    if not ws.can_prepare(call.request).ok:
        raise InvalidData("this is a WebSocket", hint="GET …/stream has the same as server-sent events")
    if metrics.get("thespis_http_streams") >= settings.max_streams:
        raise Busy(f"{settings.max_streams} live streams are open", retry_after=5.0)
    metrics.add("thespis_http_streams")
    try:
        await ws.prepare(call.request)
        await _Talk(call, ws, address, Feed(call, address, cursor)).run()
    finally:
        metrics.add("thespis_http_streams", -1)
    return ws


def check_origin(call: Call) -> None:
    """A page of another site must not open a socket through somebody's browser. Raises Forbidden."""
    origin = call.request.headers.get("Origin")
    if origin is None:
        return
    found = urlsplit(origin)
    name = found.hostname or ""
    ours = {part.strip().lower() for part in call.settings.allowed_hosts.split(",") if part.strip()}
    if found.netloc.lower() != call.request.headers.get("Host", "").lower() and not (is_loopback(name) or name in ours):
        raise Forbidden(f"origin {origin[:80]!r} is another site", hint="THESPIS_ALLOWED_HOSTS names others that may")


class _Talk:
    """One client."""

    def __init__(self, call: Call, ws: web.WebSocketResponse, address: str, feed: Feed) -> None:
        self._call = call
        self._ws = ws
        self._address = address
        self._feed = feed
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Send and receive, until one of the two ends."""
        tasks = {asyncio.ensure_future(self._tell()), asyncio.ensure_future(self._listen())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        error = next((task.exception() for task in done if not task.cancelled() and task.exception()), None)
        if isinstance(error, TimeoutError):
            self._call.door.metrics.add("thespis_http_slow_streams_total")
            if self._call.request.transport is not None:
                self._call.request.transport.abort()
        elif isinstance(error, ThespisError):
            await self._ws.close(code=WSCloseCode.INTERNAL_ERROR, message=error.code.encode()[:120])
        elif error is not None and not isinstance(error, ConnectionError):
            await self._ws.close(code=WSCloseCode.INTERNAL_ERROR)
            raise error
        elif not self._ws.closed:
            code = WSCloseCode.POLICY_VIOLATION if "token" in self._feed.ended else WSCloseCode.GOING_AWAY
            await self._ws.close(code=code, message=self._feed.ended.encode()[:120])

    async def _tell(self) -> None:
        shows = self._call.request.app[SHOWS]
        async with shows.watch(self._call.tenant, self._address) as showing, aclosing(
            self._feed.frames(showing)
        ) as frames:  # fmt: skip
            async for frame in frames:
                match frame:
                    case None:
                        pass  # pings keep the connection
                    case list():
                        for event in frame:
                            await self._send({"type": "event", "position": event.position, "event": event_out(event)})
                        self._call.door.metrics.add("thespis_http_streamed_events_total", len(frame))
                    case _:
                        await self._send({"type": "chunk", "chunk": frame})

    async def _listen(self) -> None:
        async for came in self._ws:
            if came.type is not WSMsgType.TEXT:
                await self._refuse(None, InvalidData("only text frames are read here"))
                continue
            id: str | None = None
            try:
                asked = _parsed(came.data, self._call.settings.max_depth)
                id = asked.id
                await self._send(await self._do(asked))
            except ThespisError as error:
                await self._refuse(id, error)

    async def _do(self, asked: SocketPost | SocketInterrupt) -> dict[str, Any]:
        call = self._call
        if not call.principal.allows(WRITE):
            name = call.principal.name
            raise Forbidden(f"the token of {name} lacks the scope {WRITE}", hint=f"{WRITE}: {SCOPES[WRITE]}")
        call.request.app[GUARD].pay(call.principal, 1)
        if isinstance(asked, SocketPost):
            conversation = self._address.partition("/")[2]
            said = heard(call, conversation, asked.text, asked.id or ids.random_id())
            posted = await post(call, self._address, said, asked.id)
            return {"type": "taken", "id": asked.id, "number": posted.number, "turn": posted.turn,
                    "position": posted.position, "duplicate": posted.duplicate}  # fmt: skip
        sent = message(call, self._address, InterruptTurn(asked.turn, call.principal.name, asked.reason))
        id = ids.random_id()
        said = reply(sent, await send(call, msgspec.structs.replace(sent, id=id, correlation=id)))
        return {**said, "type": "done", "id": asked.id}

    async def _refuse(self, id: str | None, error: ThespisError) -> None:
        await self._send({"type": "problem", "id": id, "problem": problem(outward(error, self._call.principal))})

    async def _send(self, content: dict[str, Any]) -> None:
        async with self._sending, asyncio.timeout(self._call.settings.slow_client):
            await self._ws.send_str(_encode(content).decode())


def _parsed(text: str, depth: int) -> SocketPost | SocketInterrupt:
    value = check_json(text.encode("utf-8", "surrogatepass"), depth)
    try:
        return _incoming.validate_python(value)
    except ValidationError as error:
        raise InvalidData(f"the message: {described(error)}") from None
