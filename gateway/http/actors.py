"""GET /v1/actors and one actor; and what operators do with it: park, resume, fork, settle an effect."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from events.address import split
from events.envelope import Answer
from events.errors import NotFound, UnknownType, Unserved
from gateway.http import body
from gateway.http.commands import target
from gateway.http.models import ForkIn, ParkIn, ResolveIn, ResumeIn
from gateway.http.route import Call, answer

LISTED: Final = "`GET /v1/actors` lists those that have one"


async def show(call: Call) -> web.Response:
    """An actor's committed state, now or at a version. Whoever has no history does not exist: NotFound."""
    address = target(call)
    try:
        view = await call.door.client.view(call.tenant, address, call.query.at)
    except (Unserved, UnknownType) as error:
        if await call.door.store.read_stream(call.tenant, address, limit=1):
            raise Unserved(f"no host here can fold {address}: {error.message}") from None
        raise NotFound(f"{address} has no history", hint=LISTED) from None
    except NotFound as error:
        raise NotFound(error.message, hint=error.hint or LISTED) from None
    out = {
        "address": view.address,
        "kind": view.kind,
        "version": view.version,
        "state": view.state,
        "parked": view.parked,
    }
    if view.at is not None:
        out["at"] = view.at
    return answer(out)


async def park(call: Call) -> web.Response:
    """Stop an actor until it is resumed: its messages wait."""
    asked = await body.model(call, ParkIn)
    return _recorded(await call.door.client.park(call.tenant, target(call), call.principal.name, asked.reason))


async def resume(call: Call) -> web.Response:
    """Let a parked actor go on."""
    asked = await body.model(call, ResumeIn)
    client, by = call.door.client, call.principal.name
    return _recorded(await client.resume(call.tenant, target(call), by, asked.reason, asked.skip))


async def fork(call: Call) -> web.Response:
    """Begin a new actor with the history of this one up to a version."""
    asked = await body.model(call, ForkIn)
    split(asked.to)
    client, by = call.door.client, call.principal.name
    return _recorded(await client.fork(call.tenant, target(call), asked.version, asked.to, by))


async def resolve(call: Call) -> web.Response:
    """Settle an effect nobody knows the outcome of."""
    asked = await body.model(call, ResolveIn)
    outcome = None if asked.outcome is None else msgspec.json.encode(asked.outcome)
    client, by = call.door.client, call.principal.name
    return _recorded(await client.resolve(call.tenant, call.path("effect"), asked.status, outcome, by, asked.reason))


def _recorded(found: Answer) -> web.Response:
    return answer({"outcome": found.outcome, "position": found.position, "version": found.version})
