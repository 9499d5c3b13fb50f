"""GET /v1/runs/{id}/watch: a run as server-sent events, from what it is now to its end.

Events are `run` (the run), `step` (a step that changed, with its intervals) and `end`. Their `id` is a position: a
client that comes back with it as `Last-Event-ID` gets every step that changed since. Of several changes of one step
that come close together the last one is sent.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import msgspec
from aiohttp import web

from events.errors import InvalidData
from gateway.http.asking import caught_up
from gateway.http.keys import CLOSING, GUARD
from gateway.http.route import Call
from gateway.http.run_rows import Family, detail, run_row, step_out
from gateway.http.running import ENDED
from gateway.http.sse import Writer, live
from projections.core.query import Filter, Order, Query

PAUSE: Final = 0.1
"""Seconds between two looks: a busy run changes thousands of times a second, its reader need not."""

_encode = msgspec.json.Encoder().encode


async def watch(call: Call) -> web.StreamResponse:
    """Send the run's steps as they change, until it has ended."""
    text = call.request.headers.get("Last-Event-ID", "").strip()
    if text and not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InvalidData(f"Last-Event-ID {text[:40]!r} is not a position", hint="it is the id of the last event seen")
    row = await run_row(call, call.path("id"))
    return await live(call, b"retry: 1000\n\n", lambda writer: _follow(call, writer, row["run"], int(text or 0)))


async def _follow(call: Call, writer: Writer, id: str, seen: int) -> None:
    app, heads, settings = call.request.app, call.door.heads, call.settings
    closing, guard = app[CLOSING], app[GUARD]
    checked = time.monotonic()
    shown: dict[str, Any] | None = None
    while not closing.is_set():
        head = await call.door.store.head()
        await caught_up(call, "runs")
        row = await run_row(call, id)
        # The row is read first: what changes between the two looks comes again with the next.
        seen, changed = await _changes(call, writer, id, seen)
        if changed or shown is None or row != shown:
            await writer.send(_event(seen, "run", await detail(call, row)))
            shown = row
        if row["status"] in ENDED:
            await writer.send(_event(seen, "end", {"run": id, "status": row["status"]}))
            return
        if not await heads.beyond(head, settings.heartbeat):
            await writer.send(b": nothing new\n\n")
        if time.monotonic() - checked >= settings.heartbeat:
            checked = time.monotonic()
            if not await guard.still(call.request, "workflows:read"):
                await writer.send(b": the token is not valid any more\n\n")
                return
        await asyncio.sleep(PAUSE)
    await writer.send(b": closing\n\n")


async def _changes(call: Call, writer: Writer, id: str, seen: int) -> tuple[int, bool]:
    """Send the steps that changed after `seen`; up to where all are sent, and whether there were any."""
    family = await Family.of(call, id)
    where = [Filter("run", "in", family.runs), Filter("position", ">", seen)]
    order = [Order("position")]
    after: str | None = None
    cursor: int | None = None
    found_any = False
    while True:
        page = await call.door.models.query("runs", Query(call.tenant, "steps", where, order, 500, after))
        cursor = page.cursor if cursor is None else cursor
        rows = [row for row in page.rows if "%" not in row["step"]]
        if rows:
            found_any = True
            await writer.send(b"".join(_event(row["position"] - 1, "step", step_out(family, row)) for row in rows))
        after = page.next
        if after is None:
            return max(seen, cursor), found_any


def _event(id: int, name: str, data: Any) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (max(id, 0), name.encode(), _encode(data))
