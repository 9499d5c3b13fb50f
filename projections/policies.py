"""Policies: the newest version of the rules about tools, by name."""

from __future__ import annotations

from typing import Any, Final

from events.envelope import Event
from events.tools import POLICY_EVENTS
from projections.core.definition import Projection, Ref, Table
from projections.core.rows import Rows
from projections.timeline import text

POLICIES: Final = Table(
    "policies",
    {"tenant": str, "name": str, "version": int, "hash": str, "at": int, "by": str},
    key=("tenant", "name"),
)


def keys(event: Event, data: Any) -> list[Ref]:
    """The policy."""
    return [(POLICIES, (event.tenant, event.stream.partition("/")[2]))]


def apply(rows: Rows, event: Event, data: Any) -> None:
    """Another version is the newest."""
    rows.put(POLICIES, {
        "tenant": event.tenant, "name": event.stream.partition("/")[2], "version": data.version, "hash": data.hash,
        "at": data.at, "by": text(data.by),
    })  # fmt: skip


PROJECTION = Projection(
    "policies", version=1, tables=[POLICIES], types=POLICY_EVENTS, keys=keys, apply=apply, reads=("tenant", "stream")
)
