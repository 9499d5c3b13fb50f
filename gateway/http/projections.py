"""GET /v1/projections and their rows; GET /v1/actors, which is one of them; parked keys."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiohttp import web

from events.errors import DeadlineExceeded, NotFound
from gateway.http import body
from gateway.http.context import patience
from gateway.http.models_projections import ParkedKeyIn
from gateway.http.route import Call, answer
from projections.core.port import Build, Page, ParkedKey
from projections.core.projector import Status
from projections.core.query import Filter, Query, parse_filter, parse_order


async def list_projections(call: Call) -> web.Response:
    """Every projection, and how far it is."""
    door = call.door
    tables = {build.projection: _tables(build) for build in await door.models.builds() if build.state == "live"}
    found = [_status(status, tables.get(status.projection, {})) for status in await door.projections.status()]
    return answer({"projections": found})


def _status(status: Status, tables: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "name": status.projection,
        "version": status.version,
        "build": status.build,
        "position": status.cursor,
        "head": status.head,
        "lag": status.lag,
        "parked": status.parked,
        "building": status.building,
        "progress": status.progress,
        "stale_since": status.stale_since,
        "running": status.running,
        "rate": round(status.rate, 1),
        "error": status.error,
        "tables": tables,
    }


def _tables(build: Build) -> dict[str, list[str]]:
    return {table.name: [column.name for column in table.columns] for table in build.tables}


async def rows(call: Call) -> web.Response:
    """Rows of a projection."""
    name, query = call.path("name"), call.query
    page = await _read(
        call,
        name,
        Query(
            call.tenant,
            query.table,
            [parse_filter(text) for text in query.where],
            parse_order(query.sort) if query.sort else (),
            _limit(call),
            query.after,
            query.offset,
            query.build,
        ),
    )
    return answer(
        {
            "projection": name,
            "rows": page.rows,
            "next": page.next,
            "position": page.cursor,
            "lag": max(0, call.door.heads.head - page.cursor),
            "version": page.version,
            "build": page.build,
            "stale_since": await call.door.projections.stale(name, page),
        }
    )


async def list_actors(call: Call) -> web.Response:
    """Who exists: the projection `actors`."""
    query = call.query
    where = [parse_filter(text) for text in query.where]
    if query.kind is not None:
        where.append(Filter("kind", "=", query.kind))
    if query.parked is not None:
        where.append(Filter("parked_at", "!=" if query.parked == "true" else "=", None))
    order = parse_order(query.sort) if query.sort else ()
    page = await _read(call, "actors", Query(call.tenant, None, where, order, _limit(call), query.after))
    summaries = await call.door.client.summaries(call.tenant, [row["address"] for row in page.rows])
    rows = [row | {"summary": summaries.get(row["address"])} for row in page.rows]
    return answer({"actors": rows, "next": page.next, "position": page.cursor})


async def list_parked(call: Call) -> web.Response:
    """Keys whose events wait, because one of them could not be folded."""
    name = call.path("name")
    await exists(call, name)
    return answer({"parked": [_parked(key) for key in await call.door.projections.parked(name)]})


async def free(call: Call) -> web.Response:
    """Fold again what waits for a parked key, or let it go."""
    asked = await body.model(call, ParkedKeyIn)
    act = call.door.projections.retry if asked.action == "retry" else call.door.projections.discard
    outcome = await act(call.path("name"), asked.key, call.principal.name, asked.reason)
    return answer({"events": outcome.events, "parked": _parked(outcome.parked) if outcome.parked else None})


def _parked(key: ParkedKey) -> dict[str, Any]:
    return {"key": key.key, "position": key.position, "error": key.error, "held": key.held, "since": key.since}


async def exists(call: Call, name: str) -> None:
    """Raise NotFound unless there is such a projection."""
    if not any(build.projection == name for build in await call.door.models.builds(name)):
        raise NotFound(f"there is no projection {name!r}", hint="`GET /v1/projections` lists them")


def _limit(call: Call) -> int:
    return min(call.query.limit or call.settings.page, call.settings.max_page)


async def _read(call: Call, name: str, query: Query) -> Page:
    position = call.query.wait
    if position is not None:
        await reach(call, name, position)
    page = await call.door.models.query(name, query)
    if position is None or page.cursor >= position:
        return page
    # A page of a build that is not live any more: it follows a moment later, or not at all.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience(call)):
            while page.cursor < position:
                await asyncio.sleep(0.05)
                page = await call.door.models.query(name, query)
            return page
    raise DeadlineExceeded(
        f"build {page.build} of projection {name}, to which these pages belong, is at {page.cursor}, not {position}",
        hint="begin again with the first page, which is of the live build",
        retry_after=1.0,
    )


async def reach(call: Call, name: str, position: int) -> None:
    """Wait until a projection has folded in `position`. Raises NotFound, DeadlineExceeded."""
    await exists(call, name)
    try:
        await call.door.projections.wait(name, position, patience(call))
    except DeadlineExceeded as error:
        raise DeadlineExceeded(error.message, hint="leave `wait` out to read what there is", retry_after=1.0) from None
