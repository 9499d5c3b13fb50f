"""The searchable feed: one row per event, by type, stream, correlation and id.

To find the events of a source, ask for its stream: `/<tenant>/<stream>` is the source of our own, and an outside one
has the stream `events.address.feed_address(source)`. So that needs no index of its own.
"""

from __future__ import annotations

from typing import Any

from events.envelope import Event
from projections.core.definition import Projection, Table
from projections.core.rows import Rows

FEED = Table(
    "events",
    {
        "tenant": str,
        "position": int,
        "stream": str,
        "kind": str,
        "version": int,
        "type": str,
        "source": str,
        "id": str,
        "correlation": str,
        "causation": str,
        "time": int,
    },
    key=("tenant", "position"),
    # The column that tells most comes first: sorting by a tenant that is everywhere the same costs twice the time.
    indexes=[
        ("type", "tenant", "position"),
        ("stream", "tenant", "position"),
        ("correlation", "tenant", "position"),
        ("id", "tenant"),
    ],
)


def apply(rows: Rows, event: Event, data: Any) -> None:
    """`source` and `id` are the CloudEvent's; `time` is when it was recorded (µs)."""
    tenant, stream = event.tenant, event.stream
    source, space, id = event.id.partition(" ")
    rows.insert(
        FEED,
        {
            "tenant": tenant,
            "position": event.position,
            "stream": stream,
            "kind": stream.partition("/")[0],
            "version": event.version,
            "type": event.type,
            "source": source if space else f"/{tenant}/{stream}",
            "id": id if space else source,
            "correlation": event.correlation,
            "causation": event.causation,
            "time": event.recorded_at,
        },
    )


PROJECTION = Projection(
    "events",
    version=1,
    tables=[FEED],
    every=True,
    apply=apply,
    reads=("tenant", "stream", "version", "id", "type", "causation", "correlation", "recorded_at"),
)
