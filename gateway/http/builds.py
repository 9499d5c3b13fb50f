"""The builds of a projection: look at them, make a new one, switch between them, drop one."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.http import body
from gateway.http.context import patience
from gateway.http.models_projections import DropIn, SwitchIn
from gateway.http.projections import exists
from gateway.http.route import Call, answer
from projections.core.port import Build, Switch

SHOWN = 20
"""Switches that are listed."""


async def list_builds(call: Call) -> web.Response:
    """Every build of a projection, and the last switches between them."""
    name, models = call.path("name"), call.door.models
    await exists(call, name)
    builds, switches = await models.builds(name), await models.switches(name, SHOWN)
    return answer({"builds": [_build(b) for b in builds], "switches": [_switch(s) for s in switches]})


async def rebuild(call: Call) -> web.Response:
    """Begin to build a projection anew beside the live one."""
    build = await call.door.projections.rebuild(call.path("name"))
    out = {"name": build.projection, "build": build.number, "version": build.version, "state": build.state}
    return answer(out | {"position": build.cursor}, status=202)


async def switch(call: Call) -> web.Response:
    """Let readers see another build."""
    asked = await body.model(call, SwitchIn)
    by = call.principal.name
    done = await call.door.projections.switch(call.path("name"), asked.to, by, asked.reason, patience(call))
    return answer(_switch(done))


async def drop(call: Call) -> web.Response:
    """Remove a build that nobody needs any more."""
    asked = await body.model(call, DropIn)
    name = call.path("name")
    await call.door.projections.drop(name, asked.build)
    return answer({"name": name, "build": asked.build})


def _build(build: Build) -> dict[str, Any]:
    return {
        "build": build.number,
        "version": build.version,
        "state": build.state,
        "position": build.cursor,
        "parked": build.parked,
        "indexed": build.indexed,
        "created": build.created_at,
        "kept_until": build.kept_until or None,
        "note": build.note,
    }


def _switch(switch: Switch) -> dict[str, Any]:
    found = switch.comparison
    return {
        "name": switch.projection,
        "from_build": switch.from_build,
        "from_version": switch.from_version,
        "to_build": switch.to_build,
        "to_version": switch.to_version,
        "position": switch.position,
        "comparison": {
            "compared": found.compared,
            "differing": found.differing,
            "missing": found.missing,
            "added": found.added,
            "examples": found.examples,
            "parks": found.parks,
        },
        "by": switch.by,
        "reason": switch.reason,
        "at": switch.at,
        "recorded": switch.recorded,
    }
