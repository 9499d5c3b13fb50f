"""Who exists: one row per actor, with how far it is and whether it is parked."""

from __future__ import annotations

from typing import Any

from events.envelope import Event
from events.system import ActorParked, ActorResumed, Forked
from projections.core.definition import Projection, Ref, Row, Table
from projections.core.rows import Rows

ACTORS = Table(
    "actors",
    {
        "tenant": str,
        "address": str,
        "kind": str,
        "version": int,
        "events": int,
        "first_position": int,
        "first_at": int,
        "last_position": int,
        "last_at": int,
        "last_type": str,
        "parked": str | None,
        "parked_at": int | None,
        "forked_from": str | None,
        "forked_at": int | None,
    },
    key=("tenant", "address"),
    indexes=[("kind", "tenant", "address"), ("last_position", "tenant"), ("parked_at", "tenant")],
)


def _new(event: Event) -> Row:
    return {
        "tenant": event.tenant,
        "address": event.stream,
        "kind": event.stream.partition("/")[0],
        "version": 0,
        "events": 0,
        "first_position": event.position,
        "first_at": event.recorded_at,
        "last_position": 0,
        "last_at": 0,
        "last_type": "",
        "parked": None,
        "parked_at": None,
        "forked_from": None,
        "forked_at": None,
    }


def keys(event: Event, data: Any) -> list[Ref]:
    """The actor itself."""
    return [(ACTORS, (event.tenant, event.stream))]


def apply(rows: Rows, event: Event, data: Any) -> None:
    """Count the event in. `events` are the actor's own: the history a fork references is not counted again."""
    row = rows.get(ACTORS, event.tenant, event.stream) or _new(event)
    row["version"] = event.version
    row["events"] += 1
    row["last_position"] = event.position
    row["last_at"] = event.recorded_at
    row["last_type"] = event.type
    match data:
        case ActorParked(reason=reason):
            row["parked"] = reason or "parked"
            row["parked_at"] = event.recorded_at
        case ActorResumed():
            row["parked"] = row["parked_at"] = None
        case Forked(source=source, version=version):
            row["forked_from"] = source
            row["forked_at"] = version
        case _:
            pass
    rows.put(ACTORS, row)


PROJECTION = Projection(
    "actors",
    version=1,
    tables=[ACTORS],
    types=[ActorParked, ActorResumed, Forked],
    every=True,
    keys=keys,
    apply=apply,
    reads=("tenant", "stream", "version", "type", "recorded_at"),
)
