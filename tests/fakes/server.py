"""What the fakes have in common: a server on a free port, a script of faults, and strictness about both directions."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any, Self

import msgspec
from aiohttp import web

from tests.fakes.faults import Fault, Say, Seen, send, tear

FAULT = web.RequestKey("fault", Fault)


class Fake:
    """A server that checks what it is asked and what it answers.

    `calls` is what came, `work` how many answers were worked out (also those that never arrived), `complaints` what was
    wrong with requests: each was answered with an error as well, and the block ends with an AssertionError if there are
    any, unless `lenient`. `script` says what goes wrong with the next calls, `answers` what is said in chats.
    """

    key = "test-key-3f9c1e"

    def __init__(self, answer: Callable[[dict[str, Any]], Say] | None = None, *, lenient: bool = False) -> None:
        self.answer = answer or self.default
        self.lenient = lenient
        self.url = ""
        self.calls: list[Seen] = []
        self.work = 0
        self.complaints: list[str] = []
        self.broken: list[str] = []
        self._script: deque[Fault | None] = deque()
        self._runner: web.AppRunner | None = None

    def script(self, *faults: Fault | None) -> Self:
        """What goes wrong with the next calls, one each; None for a call that goes well, as all further ones do."""
        self._script.extend(faults)
        return self

    def default(self, body: dict[str, Any]) -> Say:
        """Says what was said last; asks for the first tool when it was offered one and none was used yet."""
        last = body["messages"][-1]
        if body.get("tools") and last["role"] == "user" and body.get("tool_choice") != "none":
            return Say(tools=[(body["tools"][0]["function"]["name"], '{"text": "x"}')])
        if body.get("response_format", {}).get("type") == "json_schema":
            return Say('{"answer": 42}')
        return Say(f"You said: {last['content']}")

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._around], client_max_size=64 * 1024 * 1024)
        self.routes(app)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}{self.base}"
        return self

    async def __aexit__(self, kind: Any, *_: Any) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        if kind is None:
            assert not self.broken, self.broken
            assert self.lenient or not self.complaints, self.complaints

    base = ""

    def routes(self, app: web.Application) -> None:
        """Add what is served."""
        raise AssertionError("a fake has routes")

    def problem(self, status: int, message: str) -> Any:
        """The body of an error."""
        raise AssertionError("a fake has errors")

    def complaint(self, request: web.Request, body: Any) -> tuple[int, str] | None:
        """(status, message) of what is wrong with a request."""
        raise AssertionError("a fake is strict")

    @web.middleware
    async def _around(self, request: web.Request, handler: Any) -> web.StreamResponse:
        raw = await request.read()
        fault = self._script.popleft() if self._script else None
        body = msgspec.json.decode(raw) if raw else None
        self.calls.append(Seen(request.method, request.path, dict(request.headers), body, fault))
        wrong = self.complaint(request, body)
        if wrong is not None:
            self.complaints.append(wrong[1])
            return self._json(self.problem(*wrong), status=wrong[0])
        if fault is not None and fault.reset == "before":
            tear(request)
            return web.Response()
        if fault is not None and fault.pause and not fault.slow:
            await asyncio.sleep(fault.pause)
        if fault is not None and fault.status:
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            body = fault.body if fault.body is not None else self.problem(fault.status, "so it was scripted")
            return self._json(body, status=fault.status, headers=headers)
        request[FAULT] = fault or Fault()
        return await handler(request)

    async def reply(self, request: web.Request, pieces: list[bytes], content_type: str) -> web.StreamResponse:
        """Send what was worked out."""
        fault: Fault = request[FAULT]
        self.work += 1
        if fault.reset == "after":
            tear(request)
            return web.Response()
        if fault.wrong is not None:
            pieces = [msgspec.json.encode(fault.wrong)]
            if content_type == "text/event-stream":
                pieces = [b"data: " + pieces[0] + b"\n\n"]
        if len(pieces) == 1 and not fault.garble:
            middle = len(pieces[0]) // 2
            pieces = [pieces[0][:middle], pieces[0][middle:]]
        return await send(request, fault, pieces, content_type)

    def _json(self, body: Any, *, status: int, headers: dict[str, str] | None = None) -> web.Response:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return web.Response(body=content, status=status, headers=headers, content_type="application/json")


def tokens(text: str) -> int:
    """How this fake counts: words and signs, not as anybody else does."""
    return max(1, len(text.encode()) // 3)


def vector(text: str, size: int = 8) -> list[float]:
    """A vector of a text: the same for the same text."""
    return [byte / 255 for byte in hashlib.sha256(text.encode()).digest()[:size]]


def words(text: str) -> list[str]:
    """A text in pieces that add up to it."""
    pieces: list[str] = []
    for word in text.split(" "):
        pieces.append(word if not pieces else " " + word)
    return pieces
