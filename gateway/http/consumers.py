"""GET /v1/consumers: everybody who reads the log or the bus in order, and how far behind they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from gateway.http.door import Consumer, Door
from gateway.http.route import Call, answer


async def list_consumers(call: Call) -> web.Response:
    """Every consumer, the projections among them."""
    door = call.door
    return answer({"consumers": await every(door), "head": door.heads.head})


async def every(door: Door) -> list[Consumer]:
    """The projections, and what else the process knows of. Raises StoreUnavailable."""
    async with asyncio.timeout(10):
        others: Sequence[Consumer] = await door.consumers()
        statuses = await door.projections.status()
    return [
        *others,
        *(
            Consumer(s.projection, "projection", s.cursor, s.lag, s.running, s.error or _building(s.building))
            for s in statuses
        ),
    ]


def _building(number: int | None) -> str:
    return f"build {number} is under way" if number is not None else ""
