"""GET /v1/events and /v1/events/{position}: the log by position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from aiohttp import web

from events.envelope import Event
from events.errors import InvalidData, NotFound
from events.store import EventStore
from gateway.http.filters import Filter, wanted
from gateway.http.params import MAX_POSITION
from gateway.http.render import event_out
from gateway.http.route import Call, answer

_CHUNK: Final = 1000


class Page(msgspec.Struct):
    """Events that were wanted, in order of position."""

    events: list[Event]
    next: int
    """How far the log was looked through."""


async def list_events(call: Call) -> web.Response:
    """A page of events in the order of the log, straight from the log: what is acknowledged is there.

    A page of a filter that few events pass may be short, or empty, with `more` true: the request has looked through
    `max_scan` events, go on with `next`.
    """
    query, settings, store = call.query, call.settings, call.door.store
    limit = min(query.limit or settings.page, settings.max_page)
    head = await store.head()
    found = wanted(call)
    page = await look(store, found, query.after, limit, head, settings.max_scan)
    return answer(
        {
            "events": [event_out(event) for event in page.events],
            "next": page.next,
            "more": page.next < head,
            "head": max(head, page.next if page.events else 0),
        }
    )


async def look(store: EventStore, wants: Filter, after: int, limit: int, head: int, scan: int) -> Page:
    """The first `limit` wanted events with `after` < position <= `head`, looking through about `scan` at most."""
    if wants.stream is not None:
        return await _of_stream(store, wants, after, limit, head)
    return await _of_log(store, wants, after, limit, head, scan)


async def _of_log(store: EventStore, wants: Filter, after: int, limit: int, head: int, scan: int) -> Page:
    types: Sequence[str] | None = sorted(wants.types) or None
    page = Page([], after)
    while page.next < head and scan > 0:
        size = min(_CHUNK, max(limit - len(page.events), 100), scan)
        rows = await store.read(page.next, size, types)
        for event in rows:
            if event.position > head:
                break
            page.next = event.position
            if wants(event):
                page.events.append(event)
                if len(page.events) == limit:
                    return page
        if len(rows) < size or rows[-1].position > head:
            page.next = max(head, after)
            break
        scan -= size
    return page


async def _of_stream(store: EventStore, wants: Filter, after: int, limit: int, head: int) -> Page:
    stream = wants.stream or ""
    version = await version_at(store, wants.tenant, stream, after)
    page = Page([], after)
    while True:
        rows = await store.read_stream(wants.tenant, stream, version, limit=_CHUNK)
        for event in rows:
            version = event.version
            if event.position > head:
                break
            page.next = event.position
            if wants(event):
                page.events.append(event)
                if len(page.events) == limit:
                    return page
        if len(rows) < _CHUNK or rows[-1].position > head:
            page.next = max(head, after)
            return page


async def version_at(store: EventStore, tenant: str, stream: str, position: int) -> int:
    """The last version of a stream at or below a position, found by halving: positions grow with versions."""
    if position <= 0:
        return 0

    async def beyond(version: int) -> bool:
        rows = await store.read_stream(tenant, stream, version, limit=1)
        return not rows or rows[0].position > position

    low, high = 0, 1
    while not await beyond(high - 1):
        low, high = high, high * 4
    while low < high:  # `low` events are at or below position; the answer is in low … high - 1
        middle = (low + high) // 2
        if await beyond(middle):
            high = middle
        else:
            low = middle + 1
    return low


async def one_event(call: Call) -> web.Response:
    """One event by its position."""
    text = call.path("position")
    position = int(text) if len(text) < 20 else 0
    if not 0 < position <= MAX_POSITION:
        raise InvalidData(f"{text[:40]} is not a position", hint="positions count from 1")
    rows = await call.door.store.read(position - 1, 1)
    if not rows or rows[0].position != position or rows[0].tenant != call.tenant:
        raise NotFound(f"there is no event at position {position}")
    return answer(event_out(rows[0]))
