"""The actor kind `call` (`call/<id>`): one call of one tool, through every gate, once.

requested → pinned → labelled → guarded → judged → (approved) → budgeted → admitted → begun → answered → guarded →
ended. Nobody else may ask for the effects that perform tools. What people agreed to is bound to the digest of tool,
definition, arguments, target, policy and who asks: before it is reserved, tool and policy are asked again, and any
change makes it void. Whoever speaks to a call is looked at: an answer counts from the one who was asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from actors.agents.messages import ConversationReplied
from actors.approval import ApprovalDecided
from actors.core.kind import Kind
from actors.core.outputs import Ask, Outcome, Replied, Reply, TellRefused, TimedOut
from actors.tools.call.answers import heard_from, refused, replied, void
from actors.tools.call.ending import stop
from actors.tools.call.gates import POLICY, approve, through
from actors.tools.call.move import Move
from actors.tools.call.performing import answered, from_conversation, from_effect, from_run, overdue
from actors.tools.call.requesting import request
from actors.tools.call.state import CallState, evolve
from actors.tools.messages import (
    CallDue,
    CurrentPolicy,
    DropCall,
    PlaceGranted,
    PlaceLost,
    RequestCall,
    UseTool,
)
from actors.tools.names import tool_address
from actors.workflows.messages import RunEnded
from events.address import is_address
from events.envelope import Message
from events.errors import Refused
from events.tools import CALL_EVENTS


def decide(state: CallState, message: Message) -> list[Any]:
    """What a call makes of a message."""
    data = message.data
    if isinstance(data, RequestCall):
        return request(state, data, message)
    if state.request is None:
        raise Refused("nobody has requested this call", code="not-found")
    move = Move(state, message)
    _DECISIONS[data.__class__](move, data)
    return move.outs


# -- what is told


def _decided(move: Move, m: ApprovalDecided) -> None:
    heard_from(move, move.state.approval)
    if move.state.status != "asked":
        return
    if not m.approved:
        status = "denied" if m.reason_kind == "denied" else "expired"
        stop(move, status, "approval", m.reason or m.reason_kind, m.reason_kind)
    elif m.digest != move.state.digest:
        void(move, "another digest was agreed to")
    else:
        by = msgspec.json.encode(m.by).decode()
        move.out(Ask(tool_address(move.request.tool), UseTool(move.me), f"again-tool:{by}"))


def _granted(move: Move, _m: PlaceGranted) -> None:
    """The place came late: the rules may have changed meanwhile."""
    heard_from(move, tool_address(move.request.tool))
    if move.state.status == "budgeted":
        move.out(Ask(POLICY, CurrentPolicy(), "still-policy"))


def _lost(move: Move, m: PlaceLost) -> None:
    heard_from(move, tool_address(move.request.tool))
    if move.state.status == "budgeted":
        void(move, m.reason)


def _drop(move: Move, m: DropCall) -> None:
    sender = move.message.sender
    if is_address(sender) and sender != move.request.asker:
        raise Refused(f"{sender} did not ask for this call", code="requester")
    if move.state.ended is None and move.state.begun is None:
        stop(move, "cancelled", _waits_at(move), m.reason or "nobody wants it any more", "cancelled")
    move.out(Reply({"call": move.me, "status": move.state.status}))


_WAITS_AT: Final = {
    "requested": "pin", "labelled": "policy", "asked": "approval", "judged": "budget", "approved": "budget",
    "budgeted": "limits",
}  # fmt: skip
"""By status: the gate that a call waits at."""


def _waits_at(move: Move) -> str:
    judged = move.state.judged
    asks = move.state.status == "judged" and (move.state.held or (judged is not None and judged.decision == "ask"))
    return "approval" if asks else _WAITS_AT[move.state.status]


def _due(move: Move, m: CallDue) -> None:
    heard_from(move, move.me)
    if move.state.status == "begun":
        overdue(move, m)


# -- what came of it


def _outcome(move: Move, m: Outcome) -> None:
    performed = move.message.sender.startswith("effect:tool-")
    # Of what nobody knows, a person may say what became.
    if not performed and (is_address(move.message.sender) or move.state.status != "unknown"):
        raise Refused(f"{move.message.sender} performs no tools", code="sender")
    if m.ref == "preview":
        if move.state.status == "judged":
            move.preview = m.result if m.result is not None else ""
            through(move, approve)
        return
    # A late outcome supersedes what nobody knew.
    if m.ref == "perform" and move.state.status in ("begun", "unknown"):
        answered(move, *from_effect(move, m))


def _run_ended(move: Move, m: RunEnded) -> None:
    begun = move.state.begun
    heard_from(move, f"run/{move.id}", begun.to if begun is not None and begun.via == "workflow" else "")
    if m.ref == "perform" and move.state.status in ("begun", "unknown"):
        answered(move, from_run(move, m))


def _conversed(move: Move, m: ConversationReplied) -> None:
    begun = move.state.begun
    heard_from(move, begun.to if begun is not None and begun.via == "agent" else "")
    if m.ref == "perform" and move.state.status in ("begun", "unknown"):
        answered(move, *from_conversation(move, m))


def _timed_out(_move: Move, _m: TimedOut) -> None:
    """Nothing is asked with a deadline."""


_DECISIONS: Final[dict[type[Any], Callable[[Move, Any], None]]] = {
    Replied: replied,
    TellRefused: refused,
    TimedOut: _timed_out,
    ApprovalDecided: _decided,
    PlaceGranted: _granted,
    PlaceLost: _lost,
    DropCall: _drop,
    CallDue: _due,
    Outcome: _outcome,
    RunEnded: _run_ended,
    ConversationReplied: _conversed,
}

call = Kind(
    "call", state=CallState, decide=decide, evolve=evolve,
    messages=[
        RequestCall, DropCall, PlaceGranted, PlaceLost, CallDue, ApprovalDecided, RunEnded, ConversationReplied,
        Replied, TellRefused, TimedOut, Outcome,
    ],
    inner=[PlaceGranted, PlaceLost, CallDue, ApprovalDecided, RunEnded, ConversationReplied], events=CALL_EVENTS,
)  # fmt: skip
