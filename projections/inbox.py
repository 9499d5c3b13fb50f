"""What needs a person: actors that are parked, effects whose outcome nobody knows, messages nobody could deliver."""

from __future__ import annotations

from typing import Any, Final

from events.envelope import Event
from events.system import (
    ActorParked,
    ActorResumed,
    DeadLettered,
    DeadLetterResolved,
    EffectResolved,
    EffectUnknown,
)
from projections.core.definition import Projection, Ref, Row, Table
from projections.core.rows import Rows

INBOX = Table(
    "inbox",
    {
        "tenant": str,
        "item": str,
        "kind": str,
        "open": bool,
        "address": str,
        "subject": str,
        "subject_type": str,
        "reason": str,
        "detail": str,
        "times": int,
        "opened_at": int,
        "opened_position": int,
        "closed_at": int | None,
        "closed_by": str | None,
        "resolution": str | None,
    },
    key=("tenant", "item"),
    indexes=[("tenant", "open", "opened_at")],
)
"""`kind` is parked, unknown-effect or dead-letter; `item` names what it is about, so the same trouble twice is one
row with `times` 2. `subject` is the message or effect, `subject_type` its type or kind."""

MAX_TEXT: Final = 4_000
"""Characters of a reason or an error that are shown."""


def _item(event: Event, data: Any) -> str:
    match data:
        case ActorParked() | ActorResumed():
            return f"parked:{event.stream}"
        case EffectUnknown(effect=effect) | EffectResolved(effect=effect):
            return f"effect:{effect}"
        case DeadLetterResolved(stream=stream, message=message):
            return f"dead:{stream}:{message}"
        case _:
            return f"dead:{event.stream}:{data.message}"


def keys(event: Event, data: Any) -> list[Ref]:
    """The item it is about."""
    return [(INBOX, (event.tenant, _item(event, data)))]


def apply(rows: Rows, event: Event, data: Any) -> None:
    """Open an item, or close it. What was resolved without ever being open here needs nobody."""
    item = _item(event, data)
    row = rows.get(INBOX, event.tenant, item)
    match data:
        case ActorParked():
            row = _opened(event, item, row, "parked", data.message, data.message_type, data.reason, data.error)
        case EffectUnknown():
            row = _opened(event, item, row, "unknown-effect", data.effect, data.kind, data.reason, "")
        case DeadLettered():
            row = _opened(event, item, row, "dead-letter", data.message, data.message_type, data.reason, data.to)
        case ActorResumed(by=by, reason=reason, skipped=skipped):
            _close(event, row, by, ("skipped" if skipped else "resumed") + (f": {reason}" if reason else ""))
        case (
            EffectResolved(by=by, reason=reason, status=status)
            | DeadLetterResolved(by=by, reason=reason, status=status)
        ):
            _close(event, row, by, status + (f": {reason}" if reason else ""))
        case _:
            return
    if row is not None:
        rows.put(INBOX, row)


def _opened(
    event: Event, item: str, row: Row | None, kind: str, subject: str, subject_type: str, reason: str, detail: str
) -> Row:
    return {
        "tenant": event.tenant,
        "item": item,
        "kind": kind,
        "open": True,
        "address": event.stream,
        "subject": subject,
        "subject_type": subject_type,
        "reason": _text(reason),
        "detail": _text(detail),
        "times": 1 if row is None else row["times"] + 1,
        "opened_at": event.recorded_at,
        "opened_position": event.position,
        "closed_at": None,
        "closed_by": None,
        "resolution": None,
    }


def _close(event: Event, row: Row | None, by: str, resolution: str) -> None:
    if row is not None:
        row.update(open=False, closed_at=event.recorded_at, closed_by=_text(by), resolution=_text(resolution))


def _text(value: str) -> str:
    """Errors quote whatever a message held: cut it, and drop what a text column cannot hold."""
    return value.replace("\0", "")[:MAX_TEXT]


PROJECTION = Projection(
    "inbox",
    version=2,
    tables=[INBOX],
    types=[ActorParked, ActorResumed, EffectUnknown, EffectResolved, DeadLettered, DeadLetterResolved],
    keys=keys,
    apply=apply,
    reads=("tenant", "stream", "recorded_at"),
)
