"""A route as data: what it answers, who may use it, what it takes. The table of all of them is `routes.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web
from pydantic import BaseModel

from gateway.http.door import Door
from gateway.settings import Settings
from gateway.tokens import Principal

JSON: Final = "application/json"
TEXT: Final = "text/plain"
EVENT_STREAM: Final = "text/event-stream"

_encode = msgspec.json.Encoder(order=None).encode


@dataclass(slots=True)
class Call:
    """One request on its way through a handler: already authorised, its parameters already checked."""

    request: web.Request
    door: Door
    settings: Settings
    principal: Principal
    query: Any
    """An instance of the route's `query` model."""

    @property
    def tenant(self) -> str:
        """The only tenant this call may see."""
        return self.principal.tenant

    def path(self, name: str) -> str:
        """A part of the path, percent-decoded."""
        return self.request.match_info[name]


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


class NoQuery(BaseModel, extra="forbid"):
    """No parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method on one path. `path` is aiohttp's, with `{name}` and `{name:regex}`.

    `scope` is what a token must have ("" for everybody, without a token too). `consumes` are the content types read,
    none for a route without a body; `body` and `answer` are the pydantic models that describe them.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    scope: str
    query: type[BaseModel] = NoQuery
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    consumes: tuple[str, ...] = ()
    produces: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    """Request headers that mean something here, with their meaning."""
    live: bool = False
    """A stream without end: no limit of time, not counted as a request in hand."""
    endless: bool = False
    """May answer with a stream without end: no limit of time, not counted as a request in hand."""
    any_key: bool = False
    """For clients that cannot be without a key: a door that asks for no token passes over one that is none of ours."""
    errors: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """How a problem document is told here, where clients expect another form."""


def answer(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer; `content` is anything msgspec encodes, or the JSON itself as bytes."""
    body = content if isinstance(content, bytes) else _encode(content)
    return web.Response(body=body, status=status, headers=headers, content_type=JSON)
