"""What all counters show: one row each."""

from __future__ import annotations

from typing import Any

from events import Event
from projections import Projection, Rows, Table

from .counter import Added

TABLE = Table("totals", columns={"tenant": str, "counter": str, "total": int}, key=("tenant", "counter"))


def apply(rows: Rows, event: Event, data: Any) -> None:
    """Fold one event into its counter's row."""
    match data:
        case Added(by):
            row = rows.get(TABLE, event.tenant, event.stream)
            total: int = row["total"] if row else 0
            rows.put(TABLE, {"tenant": event.tenant, "counter": event.stream, "total": total + by})
        case _:
            pass


totals = Projection(
    "totals",
    version=1,
    tables=[TABLE],
    types=[Added],
    keys=lambda event, data: [(TABLE, (event.tenant, event.stream))],
    apply=apply,
    reads=("tenant", "stream"),
)
