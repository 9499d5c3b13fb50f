"""Which builds a projection needs: the rule behind `ReadModelStore.open` and `rebuild`, the same for every adapter."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from events.errors import BadDefinition
from projections.core.definition import Projection
from projections.core.port import Build, State


class Plan(msgspec.Struct, frozen=True):
    """What to do: create a build in that state (None: nothing), after dropping those that are in nobody's way."""

    create: State | None
    drop: tuple[int, ...] = ()


def plan(builds: Sequence[Build], projection: Projection, fresh: bool = False) -> Plan:
    """What is missing for a projection, given all its builds; `fresh` asks for a new build of the same version.

    Raises BadDefinition when the code's tables are not those of the build of its version.
    """
    live = next((b for b in builds if b.state == "live"), None)
    under_way = [b for b in builds if b.state == "building"]
    if live is None:
        return Plan("live", tuple(b.number for b in under_way))
    if live.version > projection.version:
        return Plan(None)
    if live.version == projection.version:
        _same_tables(live, projection)
        if not fresh:
            return Plan(None)
    for build in under_way:
        if build.version == projection.version:
            _same_tables(build, projection)
            return Plan(None)
        if build.version > projection.version:
            return Plan(None)
    # The last retired build may go once another one is to take the live one's place; one step back stays until then.
    return Plan("building", tuple(b.number for b in builds if b.state != "live"))


def _same_tables(build: Build, projection: Projection) -> None:
    if build.tables != projection.layouts:
        raise BadDefinition(
            f"the tables of projection {projection.name!r} changed, its version is still {projection.version}",
            hint=f"raise it to version={projection.version + 1}: a new build then fills beside the live one",
        )
