"""Reading events over HTTP: page by page, or as they come, with resumption after a broken connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec

from events.errors import Unavailable
from gateway.cli.http import Api

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
    last = "" if after is None else str(after)
    loop = asyncio.get_running_loop()
    lost = None
    delay = 0.1
    while True:
        try:
            async for id, _, data in api.stream("/v1/events/stream", filters, last):
                lost, delay = None, 0.1
                if not id or (last and int(id) <= int(last)):
                    continue
                last = id
                yield _decode(data)
        except Unavailable:
            lost = lost or loop.time()
            if loop.time() - lost > patience or not last:
                raise
        await asyncio.sleep(delay)
        delay = min(delay * 2, 2.0)
