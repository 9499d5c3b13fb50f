"""What needs a person: actors that are parked, effects whose outcome nobody knows, messages nobody could deliver,
models without a price, turns that make no progress, agents that cannot go on, tools that are not what was approved."""

from __future__ import annotations

from typing import Any, Final

from events.agents import AgentMoved
from events.conversations import ModelAnswered, ModelLost, TurnEnded, TurnStuck
from events.envelope import Event
from events.system import (
    ActorParked,
    ActorResumed,
    DeadLettered,
    DeadLetterResolved,
    EffectResolved,
    EffectUnknown,
)
from events.tools import ToolApproved, ToolDisabled, ToolSeen
from events.whatif import WhatIfAnswered, WhatIfLost
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
"""`kind` is parked, unknown-effect, dead-letter, unknown-price, stuck-turn, agent or tool; `item` names what it is
about, so the same trouble twice is one row with `times` 2. `subject` is the message, effect, model, turn, state or
definition, `subject_type` its type or kind, or what led there."""

MODEL_CALL: Final = "model-call"
"""Effects of this kind are asked again by the conversation itself when nobody knows what became of them."""

TROUBLE: Final = {"failed": "cannot start", "quarantined": "is quarantined"}
"""States of an agent's life that need a person."""

MAX_TEXT: Final = 4_000
"""Characters of a reason or an error that are shown."""


def _item(event: Event, data: Any) -> str:
    match data:
        case ActorParked() | ActorResumed():
            return f"parked:{event.stream}"
        case EffectUnknown(kind=kind) | EffectResolved(kind=kind) if kind == MODEL_CALL:
            return f"model-call:{event.stream}"
        case ModelLost():
            return f"model-call:{event.stream}"
        case EffectUnknown(effect=effect) | EffectResolved(effect=effect):
            return f"effect:{effect}"
        case ModelAnswered(model=model):
            return f"price:{_text(model)[:200]}"
        case TurnStuck(turn=turn) | TurnEnded(turn=turn):
            return f"stuck:{event.stream}:{turn}"
        case AgentMoved():
            return f"agent:{event.stream}"
        case ToolSeen() | ToolDisabled() | ToolApproved():
            return f"tool:{event.stream}"
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
            row = _of_agents(event, item, row, data)
    if row is not None:
        rows.put(INBOX, row)


def _of_agents(event: Event, item: str, row: Row | None, data: Any) -> Row | None:
    """Open or close an item about an agent, a conversation or a tool. None: there is nothing to write down."""
    was_open = row is not None and row["open"]
    match data:
        case ModelAnswered(cost=None):
            return _opened(event, item, row, "unknown-price", data.model, "model", data.why or "no price is known", "")
        case TurnStuck():
            waits = ", ".join(data.waiting_for)
            return _opened(event, item, row, "stuck-turn", str(data.turn), "turn", "it makes no progress", waits)
        case AgentMoved(target=target, trigger=trigger) if target in TROUBLE or trigger == "reject":
            what = TROUBLE.get(target, "cannot use its newest version")
            return _opened(event, item, row, "agent", target, trigger, f"{event.stream} {what}", data.reason)
        case ToolSeen(approved=False):
            reason = "it waits to be approved" if row is None else "its definition is another one"
            return _opened(event, item, row, "tool", data.hash, "ToolSeen", reason, data.origin)
        case ToolDisabled():
            return _opened(event, item, row, "tool", data.hash, "ToolDisabled", data.reason, "\n".join(data.diff))
        case _ if not was_open:
            return None
        case ModelLost():
            _close(event, row, event.stream, "asked again by the one that asked; its estimate counts")
        case ModelAnswered():
            _close(event, row, "", "a price is known")
        case TurnEnded(status=status):
            _close(event, row, "", f"the turn ended: {status}")
        case AgentMoved(target=target, by=by):
            _close(event, row, by, target)
        case ToolApproved(by=by, note=note):
            _close(event, row, by, "approved" + (f": {note}" if note else ""))
        case ToolSeen(by=by):
            _close(event, row, by, "what a host has is approved")
        case _:
            return None
    return row


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
    version=4,
    tables=[INBOX],
    types=[
        ActorParked,
        ActorResumed,
        EffectUnknown,
        EffectResolved,
        DeadLettered,
        DeadLetterResolved,
        ModelAnswered,
        ModelLost,
        WhatIfAnswered,
        WhatIfLost,
        TurnStuck,
        TurnEnded,
        AgentMoved,
        ToolSeen,
        ToolDisabled,
        ToolApproved,
    ],
    keys=keys,
    apply=apply,
    reads=("tenant", "stream", "recorded_at"),
)
