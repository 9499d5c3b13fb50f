"""`thespis projections rebuild`."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option, when
from gateway.cli.progress import Advance, progress
from gateway.cli.tree import command as thespis_command

LOOK: Final = 0.2
"""Seconds between looks at how far it is."""


@thespis_command()
@click.argument("name")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until readers see the new build.")
@output_option
@place_options
def command(name: str, wait: bool, output: str, url: str | None, data: str | None) -> None:
    """Rebuild the projection NAME from the log. The live one answers until the new one has caught up.

    The new build is compared with the live one before it takes its place. If they differ without a reason, it stays
    aside, until you switch to it or drop it.
    """
    from events.ids import random_id
    from gateway.cli.http import Api, call, path
    from gateway.cli.retrying import retrying

    key = random_id()

    async def rebuild(api: Api) -> dict[str, Any]:
        begun = await retrying(lambda: api.post(path("projections", name, "rebuild"), key=key))
        if not wait:
            return begun
        head = (await api.get("/v1/events", {"limit": 1}))["head"]
        with progress(f"rebuilding {name}", "events", head) as advance:
            return await _follow(api, name, begun["build"], advance)

    found = call(url, data, rebuild)
    fields(found | {"at": when(found["at"])} if output == "table" and "at" in found else found, output)


async def _follow(api: Any, name: str, number: int, advance: Advance) -> dict[str, Any]:
    """Wait until the build is live; returns the switch. Raises Conflict when it is set aside, NotFound when dropped."""
    from events.errors import Conflict, NotFound
    from gateway.cli.http import path
    from gateway.cli.retrying import retrying

    reached = 0
    while True:
        found = await retrying(lambda: api.get(path("projections", name, "builds")), reached=True, patience=60.0)
        build = next((b for b in found["builds"] if b["build"] == number), None)
        if build is None:
            raise NotFound(f"build {number} of {name} was dropped before it was live")
        advance(max(0, build["position"] - reached))
        reached = max(reached, build["position"])
        switch = next((s for s in found["switches"] if s["to_build"] == number), None)
        if switch is not None:
            return switch
        if build["state"] == "standby":
            raise Conflict(
                f"build {number} of {name} stays aside: {build['note']}",
                hint=f"thespis projections switch {name} --to {number} --reason … lets readers see it all the same;"
                f" thespis projections drop {name} {number} removes it",
            )
        await asyncio.sleep(LOOK)
