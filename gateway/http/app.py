"""The application: the routes, what surrounds every request, and how errors become problem documents."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web

from events.errors import Busy, DeadlineExceeded, InvalidData, NotFound, ThespisError, TooLarge, Unauthenticated
from events.ids import random_id
from gateway.http.context import KEY
from gateway.http.door import Door
from gateway.http.guard import Guard, outward
from gateway.http.keys import CLOSING, GUARD, SHOWS, TAIL
from gateway.http.negotiate import check_accept
from gateway.http.params import parse
from gateway.http.route import JSON, Call, Route
from gateway.http.routes import ROUTES
from gateway.http.showing import Shows
from gateway.http.tail import Tail
from gateway.problems import (
    MEDIA_TYPE,
    MethodNotAllowed,
    problem,
    row,
)
from gateway.settings import Settings
from gateway.tokens import Principal

log = logging.getLogger("thespis.http")

PRINCIPAL: Final = web.RequestKey("principal", Principal)
ROUTE: Final = web.RequestKey("route", Route)

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

_ALWAYS: Final = frozenset({"/healthz", "/readyz"})
"""Answered however busy the door is: a process that is busy is not a dead one."""

_HANG_UP: Final = frozenset({401, 403, 406, 408, 413, 415, 429})

_Inner = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(door: Door, settings: Settings) -> web.Application:
    """The door as an aiohttp application. Run it with `serve.Server`, which sets the limits of HTTP itself."""
    app = web.Application(middlewares=[_surround(door, settings)], client_max_size=settings.max_batch)
    guard = app[GUARD] = Guard(door.tokens, settings)
    app[TAIL] = Tail(door.store, door.heads, settings.tail)
    shows = app[SHOWS] = Shows(door.live)
    app[CLOSING] = asyncio.Event()
    for route in ROUTES:
        inner = _inner(route, door, settings, guard)
        if route.method == "GET":
            app.router.add_get(route.path, inner)
        else:
            app.router.add_route(route.method, route.path, inner)
    app.on_response_prepare.append(_add_headers)

    async def close(app: web.Application) -> None:
        app[CLOSING].set()
        door.heads.wake()

    async def end(_app: web.Application) -> None:
        await shows.close()

    app.on_shutdown.append(close)
    app.on_cleanup.append(end)
    return app


def _inner(route: Route, door: Door, settings: Settings, guard: Guard) -> _Inner:
    """What happens to every request of one route before its handler."""

    async def run(request: web.Request) -> web.StreamResponse:
        request[ROUTE] = route
        principal = request[PRINCIPAL] = await guard.enter(request, route.scope, any_key=route.any_key)
        check_accept(request.headers.get("Accept"), route.produces)
        query = parse(request.query, route.query)
        return await route.handler(Call(request, door, settings, principal, query))

    return run


def _surround(door: Door, settings: Settings) -> Callable[..., Awaitable[web.StreamResponse]]:
    metrics = door.metrics
    live = {route.path for route in ROUTES if route.live or route.endless}

    @web.middleware
    async def surround(request: web.Request, handler: _Inner) -> web.StreamResponse:
        start = time.perf_counter()
        resource = request.match_info.route.resource
        path = resource.canonical if resource is not None else ""
        if metrics.get("thespis_http_requests_in_hand") >= settings.max_requests and path not in _ALWAYS:
            error = Busy(f"{settings.max_requests} requests are in hand")
            return _counted(door, request, _problem(request, error), start)
        if path in live:
            return _counted(door, request, await _shielded(request, handler), start)
        metrics.add("thespis_http_requests_in_hand")
        try:
            async with asyncio.timeout(settings.max_wait + settings.body_timeout + 5):
                response = await _shielded(request, handler)
        except TimeoutError:
            response = _problem(request, DeadlineExceeded("the request took too long and was given up"))
        finally:
            metrics.add("thespis_http_requests_in_hand", -1)
        return _counted(door, request, response, start)

    return surround


async def _shielded(request: web.Request, handler: _Inner) -> web.StreamResponse:
    """The handler's response, whatever it raises."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _problem(request, _ours(request, error), allow=error.headers.get("Allow"))
    except Exception as error:
        return _problem(request, error)


def _counted(door: Door, request: web.Request, response: web.StreamResponse, start: float) -> web.StreamResponse:
    route = request.get(ROUTE)
    name = route.path if route else "(none)"
    door.metrics.add("thespis_http_requests_total", 1, (name, request.method[:16], str(response.status)))
    if route is None or not route.live:
        door.metrics.observe(name, time.perf_counter() - start)
    if response.status in (401, 403, 429):
        door.metrics.add("thespis_http_denied_total", 1, (str(response.status),))
    return response


def _ours(request: web.Request, error: web.HTTPException) -> ThespisError:
    """aiohttp's own refusals in our words."""
    path = request.path[:200]
    if error.status == 405:
        allowed = error.headers.get("Allow", "")
        return MethodNotAllowed(f"{request.method[:16]} {path} does not exist", hint=f"allowed here: {allowed}")
    if error.status == 404:
        return NotFound(f"there is no {path}", hint="/openapi.json lists every route")
    if error.status == 413:
        return TooLarge("the body is too large")
    return InvalidData(f"{error.reason}")


def _problem(request: web.Request, error: BaseException, *, allow: str | None = None) -> web.Response:
    incident = ""
    if isinstance(error, ThespisError):
        error = outward(error, request.get(PRINCIPAL))
    else:
        incident = random_id()
        log.error("incident %s: %s %s", incident, request.method, request.path, exc_info=error)
    document = problem(error, incident=incident)
    document["instance"] = request.path[:500]
    headers: dict[str, str] = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="thespis"'
    if allow:
        headers["Allow"] = allow
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
    status = row(type(error)).status
    media, route = MEDIA_TYPE, request.get(ROUTE)
    if route is not None and route.errors is not None:
        media, document = JSON, route.errors(document)
        if request.method == "POST" and status != 429 and KEY not in request.headers:
            headers["X-Should-Retry"] = "false"  # OpenAI's clients would say it again by themselves, under another key
    response = web.Response(body=msgspec.json.encode(document), status=status, headers=headers, content_type=media)
    if status in _HANG_UP and request.can_read_body and not request.content.at_eof():
        response.force_close()  # the rest of the body is not worth reading
    return response


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "thespis"
