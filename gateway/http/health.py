"""Is the process alive, may work be sent here, what does it measure, what does it offer."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from events.errors import ThespisError
from gateway.http.door import Check, Door
from gateway.http.metrics import CONTENT_TYPE
from gateway.http.route import Call, answer


async def healthz(call: Call) -> web.Response:
    """The process is alive: it answers."""
    return answer({"status": "ok"})


async def readyz(call: Call) -> web.Response:
    """Whether work may be sent here: 200 or 503, with each check; the details are for those who may see metrics."""
    checks = await ready(call.door)
    if not call.principal.allows("metrics:read"):
        checks = {name: Check(check.ok) for name, check in checks.items()}
    well = all(check.ok for check in checks.values())
    return answer({"ready": well, "checks": checks}, status=200 if well else 503)


async def ready(door: Door) -> dict[str, Check]:
    """The store's answer, and whatever the process checks besides, within two seconds."""
    checks: dict[str, Check] = {}
    try:
        async with asyncio.timeout(2):
            await door.store.head()
            checks["store"] = Check(True)
            checks.update(await door.checks())
    except TimeoutError:
        checks.setdefault("store", Check(False, "no answer in time"))
        checks["time"] = Check(False, "the checks took more than 2 s")
    except ThespisError as error:
        checks.setdefault("store", Check(False, error.message))
        checks["error"] = Check(False, error.code)
    return checks


async def metrics(call: Call) -> web.Response:
    """Prometheus metrics."""
    door = call.door
    door.metrics.set("thespis_log_head", door.heads.head)
    with contextlib.suppress(ThespisError, TimeoutError):
        async with asyncio.timeout(2):
            for status in await door.projections.status():
                door.metrics.set("thespis_projection_lag", status.lag, (status.projection,))
                door.metrics.set("thespis_projection_parked", status.parked, (status.projection,))
            for consumer in await door.consumers():
                if consumer.lag is not None:
                    door.metrics.set("thespis_consumer_lag", consumer.lag, (consumer.name,))
    return web.Response(body=door.metrics.text(door.samples()).encode(), headers={"Content-Type": CONTENT_TYPE})
