"""Conversations and their turns: one row each. What was said stays in the log; rows have the beginnings of it."""

from __future__ import annotations

from typing import Any, Final

from events import conversations as ev
from events.envelope import Event
from projections.core.definition import Projection, Ref, Row, Table
from projections.core.rows import Rows
from projections.timeline import text
from projections.turns import ENDED, FOLDS, TURNS, short, started

CONVERSATIONS: Final = Table(
    "conversations",
    {
        "tenant": str,
        "conversation": str,
        "agent": str,
        "channel": str,
        "title": str,
        "status": str,
        "by": str,
        "parent": str | None,
        "forked_from": str | None,
        "opened_at": int,
        "messages": int,
        "turns": int,
        "turn": int,
        "last_message": str,
        "last_message_at": int | None,
        "last_at": int,
        "model_calls": int,
        "tool_calls": int,
        "input": int,
        "output": int,
        "usd": str,
        "unknown": int,
        "estimated": str,
        "outbound": int,
        "undelivered": int,
        "compacted": int,
        "position": int,
    },
    key=("tenant", "conversation"),
    indexes=[("tenant", "last_at"), ("agent", "tenant", "last_at"), ("status", "tenant", "last_at")],
)
"""`status` is idle, busy (a turn goes on), waiting (for people), stuck or closed. `turns` have ended, `turn` is the
last one that began. `usd` is the exact sum of known costs, beside `unknown` calls and lost ones as `estimated`.
`outbound` was sent, of which `undelivered` has not arrived; turns up to `compacted` are shown as a summary."""

_BARE: Final = (ev.ConversationOpened, ev.MessageReceived, ev.OutboundIntended, ev.OutboundDelivered,
                ev.OutboundFailed, ev.HistoryCompacted, ev.ConversationClosed)  # fmt: skip
"""Events that are of no turn."""


def keys(event: Event, data: Any) -> list[Ref]:
    """The conversation, and the turn."""
    name = event.stream.partition("/")[2]
    found: list[Ref] = [(CONVERSATIONS, (event.tenant, name))]
    if not isinstance(data, _BARE):
        found.append((TURNS, (event.tenant, name, data.turn)))
    return found


def apply(rows: Rows, event: Event, data: Any) -> None:
    """What the event makes of the conversation and of its turn."""
    name = event.stream.partition("/")[2]
    if isinstance(data, ev.ConversationOpened):
        rows.put(CONVERSATIONS, _opened(event, name, data))
        return
    row = rows.get(CONVERSATIONS, event.tenant, name)
    if row is None:
        return
    if isinstance(data, _BARE):
        _bare(row, data)
    else:
        turn = rows.get(TURNS, event.tenant, name, data.turn)
        if isinstance(data, ev.TurnStarted):
            turn = started(event, row, data)
        if turn is None:
            return
        FOLDS[data.__class__](row, turn, data)
        turn["position"] = event.position
        rows.put(TURNS, turn)
        if row["status"] != "closed" and data.turn == row["turn"]:
            row["status"] = _status(turn)
    row.update(last_at=max(row["last_at"], getattr(data, "at", 0)), position=event.position)
    rows.put(CONVERSATIONS, row)


def _status(turn: Row) -> str:
    if turn["status"] in ENDED:
        return "idle"
    return turn["status"] if turn["status"] in ("waiting", "stuck") else "busy"


def _bare(row: Row, data: Any) -> None:
    match data:
        case ev.MessageReceived():
            row.update(messages=row["messages"] + 1, last_message=short(data.text), last_message_at=data.at)
        case ev.OutboundIntended():
            row.update(outbound=row["outbound"] + 1, undelivered=row["undelivered"] + 1)
        case ev.OutboundDelivered():
            row["undelivered"] -= 1
        case ev.HistoryCompacted():
            row["compacted"] = max(row["compacted"], data.last)
        case ev.ConversationClosed():
            row["status"] = "closed"
        case _:
            pass


def _opened(event: Event, name: str, e: ev.ConversationOpened) -> Row:
    return {
        "tenant": event.tenant,
        "conversation": name,
        "agent": text(e.agent),
        "channel": text(e.channel),
        "title": short(e.title),
        "status": "idle",
        "by": text(e.by),
        "parent": text(e.parent) or None,
        "forked_from": text(e.forked_from) or None,
        "opened_at": e.at,
        "messages": 0,
        "turns": 0,
        "turn": 0,
        "last_message": "",
        "last_message_at": None,
        "last_at": e.at,
        "model_calls": 0,
        "tool_calls": 0,
        "input": 0,
        "output": 0,
        "usd": "0",
        "unknown": 0,
        "estimated": "0",
        "outbound": 0,
        "undelivered": 0,
        "compacted": 0,
        "position": event.position,
    }


PROJECTION = Projection(
    "conversations",
    version=1,
    tables=[CONVERSATIONS, TURNS],
    types=[*(ev.MESSAGE_RECEIVED if t is ev.MessageReceived else t for t in _BARE), *FOLDS],
    keys=keys,
    apply=apply,
    reads=("tenant", "stream", "correlation"),
)
