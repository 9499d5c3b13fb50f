"""GET /v1/events and /v1/events/{position}: the log by position.

Types and streams are looked up in the log itself, correlations in the projection `events`, which is waited for until it
has seen the head: so what is acknowledged is found, whichever way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import msgspec
from aiohttp import web

from events.envelope import Event
from events.errors import InvalidData, NotFound
from events.store import EventStore
from gateway.http.filters import Filter, wanted
from gateway.http.pace import Pace
from gateway.http.params import MAX_POSITION
from gateway.http.projections import reach
from gateway.http.render import event_out
from gateway.http.route import Call, answer
from projections.core.query import MAX_LIMIT, Order, Query
from projections.core.query import Filter as Where

PAGE_BYTES: Final = 8 << 20
"""Data of a page, about: it ends with the event that reaches this."""

_CHUNK: Final = 1000
_NEAR: Final = 64
"""Positions this close are read together: what lies between is cheaper to read than another round trip."""


class Page(msgspec.Struct):
    """Events that were wanted, in order of position."""

    events: list[Event]
    next: int
    """How far the log was looked through."""
    size: int = 0
    """Bytes of their data."""

    def take(self, rows: Sequence[Event], wants: Filter, limit: int, head: int) -> bool:
        """Take what is wanted of the next rows; whether the page is full then."""
        for event in rows:
            if event.position > head:
                return False
            self.next = event.position
            if wants(event):
                self.events.append(event)
                self.size += len(event.data)
                if len(self.events) >= limit or self.size >= PAGE_BYTES:
                    return True
        return False


async def list_events(call: Call) -> web.Response:
    """A page of events in the order of the log, straight from the log: what is acknowledged is there.

    A page of a filter that few events pass may be short, or empty, with `more` true: the request has looked through
    `max_scan` events, go on with `next`.
    """
    query, settings, store = call.query, call.settings, call.door.store
    limit = min(query.limit or settings.page, settings.max_page)
    head = await store.head()
    found = wanted(call)
    if found.correlation is not None and found.stream is None:
        page = await _of_correlation(call, found, query.after, limit, head)
    else:
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
    pace = Pace(_CHUNK)
    while page.next < head and scan > 0:
        size = min(pace.size, scan)
        rows = await store.read(page.next, size, types)
        if page.take(rows, wants, limit, head):
            return page
        if len(rows) < size or rows[-1].position > head:
            page.next = max(head, after)
            return page
        pace.saw(rows)
        scan -= size
    return page


async def _of_stream(store: EventStore, wants: Filter, after: int, limit: int, head: int) -> Page:
    stream = wants.stream or ""
    version = await version_at(store, wants.tenant, stream, after)
    page = Page([], after)
    pace = Pace(_CHUNK)
    while True:
        size = pace.size
        rows = await store.read_stream(wants.tenant, stream, version, limit=size)
        if page.take(rows, wants, limit, head):
            return page
        if len(rows) < size or rows[-1].position > head:
            page.next = max(head, after)
            return page
        version = rows[-1].version
        pace.saw(rows)


async def _of_correlation(call: Call, wants: Filter, after: int, limit: int, head: int) -> Page:
    await reach(call, "events", head)
    where = [Where("correlation", "=", wants.correlation), Where("position", ">", after)]
    if wants.types:
        where.append(Where("type", "in", sorted(wants.types)))
    query = Query(wants.tenant, None, where, [Order("position")], min(limit, MAX_LIMIT))
    rows = (await call.door.models.query("events", query)).rows
    positions = [row["position"] for row in rows]
    page = await _at(call.door.store, positions, after)
    if len(page.events) == len(rows) < query.limit:
        page.next = max(head, after)
    return page


async def _at(store: EventStore, positions: Sequence[int], after: int) -> Page:
    """The events at these positions, ascending; neighbours are read together."""
    page = Page([], after)
    pace = Pace(_NEAR)
    start = 0
    while start < len(positions):
        first = positions[start]
        end = bisect_left(positions, first + pace.size)
        rows = await store.read(first - 1, positions[end - 1] - first + 1)
        here = set(positions[start:end])
        for event in rows:
            if event.position in here:
                page.events.append(event)
                page.next = event.position
                page.size += len(event.data)
                if page.size >= PAGE_BYTES:
                    return page
        pace.saw(rows)
        start = end
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
