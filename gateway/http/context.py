"""What a request says about itself besides its body: trace, correlation, idempotency key, patience."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from events.cloudevents import percent_decode
from events.errors import InvalidData
from gateway.http.negotiate import wait_preference
from gateway.http.route import Call
from gateway.tokens import now

KEY: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
CORRELATION: Final = ("ce-correlationid", "X-Correlation-ID")

_TRACE = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,255}")


def trace(request: web.Request) -> str | None:
    """The W3C traceparent. One that is not valid is left out, as the specification asks."""
    value = request.headers.get("traceparent", "")
    return value if _TRACE.fullmatch(value) else None


def correlation(request: web.Request) -> str | None:
    """What the caller says started it all. Raises InvalidData."""
    for name in CORRELATION:
        value = request.headers.get(name)
        if value is not None:
            text = percent_decode(value)
            if not _PRINTABLE.fullmatch(text):
                raise InvalidData(f"header {name} is not 1 to 255 printable ASCII characters without spaces")
            return text
    return None


def key(request: web.Request) -> str | None:
    """The idempotency key, with or without the quotes of a structured header. Raises InvalidData."""
    values = request.headers.getall(KEY, [])
    if not values:
        return None
    text = values[0].strip()
    if len(text) > 1 and text[0] == '"' == text[-1]:
        text = text[1:-1]
    if len(values) > 1 or not _PRINTABLE.fullmatch(text):
        raise InvalidData(f"header {KEY} is not 1 to 255 printable ASCII characters without spaces")
    return text


def patience(call: Call) -> float:
    """Seconds the caller waits: `Prefer: wait=`, at most `max_wait`, else `ask_timeout`."""
    wanted = wait_preference(call.request.headers.get("Prefer"))
    return call.settings.ask_timeout if wanted is None else min(wanted, call.settings.max_wait)


def deadline(call: Call) -> int:
    """When the caller stops waiting, in microseconds since 1970."""
    return now() + int(patience(call) * 1e6)
