"""What a fake does wrong, call by call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Fault:
    """One call that goes wrong. Everything is off by default; `tests/fakes/README.md` says what each does."""

    status: int = 0
    retry_after: str = ""
    body: Any = None
    pause: float = 0.0
    slow: bool = False
    cut: int | None = None
    reset: str = ""
    garble: bool = False
    wrong: Any = None
    usage: str = ""


@dataclass
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None
    fault: Fault | None = None


@dataclass
class Say:
    """What a fake answers in a chat: text and tool uses, or whatever a function of the request's body returns."""

    text: str = ""
    tools: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(name, arguments as JSON text)"""
    finish: str = ""
    usage: dict[str, Any] | None = None


async def send(request: web.Request, fault: Fault, pieces: list[bytes], content_type: str) -> web.StreamResponse:
    """Send a body in pieces, with what is wrong about it."""
    if fault.garble:
        n = next(n for n, piece in enumerate(pieces) if b'"content":"' in piece)
        at = pieces[n].rfind(b'"content":"') + len(b'"content":"')
        pieces = [*pieces[:n], pieces[n][:at] + b"\xc3\x28\xff" + pieces[n][at:], *pieces[n + 1 :]]
    response = web.StreamResponse(headers={"Content-Type": content_type})
    if content_type != "text/event-stream":
        response.headers["Content-Length"] = str(sum(map(len, pieces)))
    await response.prepare(request)
    sent = 0
    for n, piece in enumerate(pieces):
        if fault.slow and n:
            await asyncio.sleep(fault.pause)
        if fault.cut is not None and sent + len(piece) > fault.cut:
            await response.write(piece[: fault.cut - sent])
            tear(request)
            return response
        await response.write(piece)
        sent += len(piece)
    await response.write_eof()
    return response


def tear(request: web.Request) -> None:
    """End the connection without a word."""
    if request.transport is not None:
        request.transport.abort()
