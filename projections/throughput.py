"""How much of what happens when: events counted by tenant, type and minute of their record."""

from __future__ import annotations

from typing import Any, Final

from events.envelope import Event
from projections.core.definition import Projection, Ref, Table
from projections.core.rows import Rows

MINUTE: Final = 60_000_000
"""Microseconds."""

COUNTS = Table(
    "throughput",
    {"tenant": str, "type": str, "minute": int, "events": int},
    key=("tenant", "type", "minute"),
    indexes=[("tenant", "minute")],
)


def _key(event: Event) -> tuple[str, str, int]:
    return event.tenant, event.type, event.recorded_at // MINUTE * MINUTE


def keys(event: Event, data: Any) -> list[Ref]:
    """The count of that minute."""
    return [(COUNTS, _key(event))]


def apply(rows: Rows, event: Event, data: Any) -> None:
    """One more. `minute` is its beginning (µs)."""
    tenant, type_, minute = key = _key(event)
    row = rows.get(COUNTS, *key)
    events = 1 if row is None else row["events"] + 1
    rows.put(COUNTS, {"tenant": tenant, "type": type_, "minute": minute, "events": events})


def _type(event: Event) -> str:
    return f"{event.tenant}/{event.type}"


PROJECTION = Projection(
    "throughput",
    version=1,
    tables=[COUNTS],
    every=True,
    keys=keys,
    apply=apply,
    park_key=_type,
    reads=("tenant", "type", "recorded_at"),
)
