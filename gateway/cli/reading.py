"""Reading events over HTTP: page by page, or as they come, with resumption after a broken connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec

from events.errors import Unavailable
from gateway.cli.http import Api, problem_error

COLUMNS: Final = ("position", "time", "stream", "version", "type", "data")

PAGE: Final = 1000

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def summary(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event as a line of a table."""
    return {name: event.get(name) for name in COLUMNS}


async def pages(api: Api, after: int, limit: int, filters: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """At most `limit` events with a position greater than `after`, asking for a page at a time.

    A page may be short, or empty, while the log still holds more to look at: the server says so.
    """
    left = limit
    while left > 0:
        answer = await api.get("/v1/events", {"after": after, "limit": min(left, PAGE), **filters})
        for event in answer["events"]:
            yield event
        left -= len(answer["events"])
        if not answer["more"]:
            return
        after = answer["next"]


async def rows(
    api: Api, path: str, member: str, limit: int, wanted: Mapping[str, Any], after: str | None = None
) -> list[dict[str, Any]]:
    """At most `limit` items of a paged list whose pages name the `next` one."""
    found: list[dict[str, Any]] = []
    while len(found) < limit:
        answer = await api.get(path, {**wanted, "limit": min(limit - len(found), PAGE), "after": after})
        found += answer[member]
        after = answer["next"]
        if after is None:
            break
    return found


async def follow(
    api: Api, after: int | None, filters: Mapping[str, Any], *, patience: float = 30.0
) -> AsyncIterator[dict[str, Any]]:
    """Events as they are committed, none twice and none missing, across broken connections.

    `after` is the position to begin after, None for now. Raises Unavailable when the server stays away longer than
    `patience` seconds.
    """
    # The head is known from the start, so that nothing is missed when the connection breaks before the first event.
    # Asking for it also tells at once that nobody is there.
    head = (await api.get("/v1/events", {"limit": 1}))["head"]
    last = str(head if after is None else after)
    loop = asyncio.get_running_loop()
    lost: float | None = None
    delay = 0.1
    while True:
        try:
            async for id, name, data in api.stream("/v1/events/stream", filters, last):
                if name == "problem":
                    raise problem_error(503, data.encode())
                lost, delay = None, 0.1
                if id and int(id) > int(last):
                    last = id
                    yield _decode(data)
        except Unavailable:
            lost = lost or loop.time()
            if loop.time() - lost > patience:
                raise
        await asyncio.sleep(delay)
        delay = min(delay * 2, 2.0)
