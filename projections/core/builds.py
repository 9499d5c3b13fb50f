"""Which builds a projection needs, and which nobody needs any more: rules that are the same for every adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from events.errors import BadDefinition, Conflict
from projections.core.definition import Projection
from projections.core.port import Build, State

STANDBYS: Final = 2
"""Builds that are kept beside the live one, so that it is possible to switch to them."""


class Plan(msgspec.Struct, frozen=True):
    """What to do: create a build in that state (None: nothing), after dropping those that are in its way."""

    create: State | None
    drop: tuple[int, ...] = ()


def plan(builds: Sequence[Build], projection: Projection, fresh: bool = False) -> Plan:
    """What is missing for a projection, given all its builds; `fresh` asks for a new build of the same version.

    Raises BadDefinition when the code's tables are not those of the build of its version; of `fresh`, Conflict when the
    live one is of a higher version.
    """
    live = next((b for b in builds if b.state == "live"), None)
    under_way = [b for b in builds if b.state == "building"]
    if live is None:
        return Plan("live", tuple(b.number for b in under_way))
    for build in (live, *under_way):
        if build.version == projection.version:
            _same_tables(build, projection)
    if fresh:
        if live.version > projection.version:
            raise Conflict(
                f"version {live.version} of projection {projection.name} is live, the code here is version"
                f" {projection.version}",
                hint="ask a host that has the newer code",
            )
    elif projection.version <= max(live.version, live.declined) or any(b.version == projection.version for b in builds):
        return Plan(None)
    if any(b.version >= projection.version for b in under_way):
        return Plan(None)
    return Plan("building", tuple(b.number for b in under_way))


def surplus(builds: Sequence[Build], now: int) -> list[int]:
    """Standbys whose time (µs) is over, and those beyond `STANDBYS`, of the builds of one projection."""
    standbys = sorted((b for b in builds if b.state == "standby"), key=lambda b: (b.kept_until, b.number))
    kept = [b.number for b in standbys if b.kept_until > now][-STANDBYS:]
    return [b.number for b in standbys if b.number not in kept]


def _same_tables(build: Build, projection: Projection) -> None:
    if build.tables != projection.layouts:
        raise BadDefinition(
            f"the tables of projection {projection.name!r} changed, its version is still {projection.version}",
            hint=f"raise it to version={projection.version + 1}: a new build then fills beside the live one",
        )
