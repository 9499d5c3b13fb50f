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
from actors.approval import ApprovalDecided, Reserve
from actors.core.kind import Kind
from actors.core.outputs import Ask, Outcome, Replied, Reply, TellRefused, TimedOut
from actors.tools.call.ending import stop
from actors.tools.call.gates import POLICY, PolicyAnswer, admitted, approve, budget, guard, pin, through
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
from events.envelope import Message
from events.errors import Refused
from events.tools import CALL_EVENTS, CallAnswered, CallApproved


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


def _from(move: Move, *senders: str) -> None:
    """Only these may say it. Raises Refused."""
    if move.message.sender not in senders:
        raise Refused(f"{move.message.sender} is not who was asked", code="sender")


# -- answers of those who were asked


def _asked(move: Move, ref: str) -> str:
    """Who was asked under a ref; "" when nobody was."""
    state = move.state
    what, _, rest = ref.partition(":")
    if what == "budget" and rest.isdigit() and int(rest) < len(move.request.budgets):
        return move.request.budgets[int(rest)]
    return {
        "tool": tool_address(move.request.tool),
        "again-tool": tool_address(move.request.tool),
        "place": tool_address(move.request.tool),
        "policy": POLICY,
        "again-policy": POLICY,
        "still-policy": POLICY,
        "approval": state.approval,
        "reserve": state.approval,
        "perform": state.begun.to if state.begun is not None else "",
    }.get(what, "")


def _replied(move: Move, m: Replied) -> None:
    _from(move, _asked(move, m.ref))
    what = m.ref.partition(":")[0]
    waiting, go_on = _ANSWERS[what]
    if move.state.status in waiting:
        move.answer = m.data
        go_on(move, m)


def _pinned(move: Move, _m: Replied) -> None:
    through(move, pin)


def _policy(move: Move, _m: Replied) -> None:
    through(move, guard)


def _nothing(_move: Move, _m: Replied) -> None:
    pass


def _tool_again(move: Move, m: Replied) -> None:
    if m.data["hash"] != move.pinned.hash:
        _void(move, "the definition of the tool changed after it was asked for")
        return
    move.out(Ask(POLICY, CurrentPolicy(move.judged.hash), _with(m.ref, "again-policy")))


def _policy_again(move: Move, m: Replied) -> None:
    if _same_policy(move):
        reserve = Reserve(move.me, move.state.digest)
        move.out(Ask(move.state.approval, reserve, _with(m.ref, "reserve")))


def _with(ref: str, what: str) -> str:
    """The next step on the way to an agreement; who agreed goes along."""
    return f"{what}:{ref.partition(':')[2]}"


def _reserved(move: Move, m: Replied) -> None:
    state = move.state
    by = msgspec.json.decode(m.ref.partition(":")[2], type=list[str])
    move.emit(CallApproved(state.approval, state.digest, by, move.now))
    move.answer = None
    through(move, budget)


def _still_policy(move: Move, _m: Replied) -> None:
    if _same_policy(move):
        through(move, admitted)


def _same_policy(move: Move) -> bool:
    """Whether the policy is the one that judged the call; if not, the call is over."""
    said = msgspec.convert(move.answer, PolicyAnswer)
    judged = move.judged
    if (said.name, said.version, said.hash) == (judged.policy, judged.version, judged.hash):
        return True
    _void(move, f"the policy is version {said.version} by now, the call was judged by version {judged.version}")
    return False


def _void(move: Move, why: str) -> None:
    """What was judged, or agreed to, is not what there is any more."""
    if move.state.approval:
        stop(move, "expired", "approval", f"the approval is void: {why}", "changed")
    else:
        stop(move, "refused", "limits", why, "changed")


def _set_aside(move: Move, m: Replied) -> None:
    if not m.data["granted"]:
        left = m.data.get("left", "0")
        stop(move, "refused", "budget", f"nothing is left in {move.message.sender} ({left} dollars)", "budget")
        return
    move.budget = int(m.ref.partition(":")[2]) + 1
    through(move, budget)


def _place(move: Move, m: Replied) -> None:
    if m.data["granted"]:
        through(move, admitted)


_ANSWERS: Final[dict[str, tuple[tuple[str, ...], Callable[[Move, Replied], None]]]] = {
    "tool": (("requested",), _pinned),
    "policy": (("labelled",), _policy),
    "approval": ((), _nothing),
    "again-tool": (("asked",), _tool_again),
    "again-policy": (("asked",), _policy_again),
    "reserve": (("asked",), _reserved),
    "budget": (("judged", "approved"), _set_aside),
    "place": (("budgeted",), _place),
    "still-policy": (("budgeted",), _still_policy),
    "perform": ((), _nothing),
}
"""By ref: while the call has which status the answer counts, and what comes next."""


def _refused(move: Move, m: TellRefused) -> None:
    """Somebody who was asked said no. What was only told may be refused: a place or an agreement that is gone."""
    if not m.ref:
        return
    _from(move, _asked(move, m.ref))
    status, what = move.state.status, m.ref.partition(":")[0]
    if what == "policy" and status == "labelled":
        through(move, guard)
    elif what == "perform" and status == "begun":
        answered(move, CallAnswered("failed", move.now, error=m.reason))
    elif what in ("again-tool", "again-policy") and status == "asked":
        _void(move, m.reason)
    elif what in ("place", "still-policy") and status == "budgeted":
        if m.code in ("changed", "disabled") or move.state.approval:
            _void(move, m.reason)
        else:
            stop(move, "refused", "limits", m.reason, m.code)
    elif what in _REFUSALS and status in _ANSWERS[what][0] + _REFUSALS[what][2]:
        ends, stage, _ = _REFUSALS[what]
        stop(move, ends, stage, m.reason, m.code)


_REFUSALS: Final[dict[str, tuple[str, str, tuple[str, ...]]]] = {
    "tool": ("refused", "pin", ()),
    "approval": ("denied", "approval", ("asked",)),
    "reserve": ("expired", "approval", ()),
    "budget": ("refused", "budget", ()),
}
"""By ref: how the call ends, at which gate, and in which other status it may be."""


# -- what is told


def _decided(move: Move, m: ApprovalDecided) -> None:
    _from(move, move.state.approval)
    if move.state.status != "asked":
        return
    if not m.approved:
        status = "denied" if m.reason_kind == "denied" else "expired"
        stop(move, status, "approval", m.reason or m.reason_kind, m.reason_kind)
    elif m.digest != move.state.digest:
        _void(move, "another digest was agreed to")
    else:
        by = msgspec.json.encode(m.by).decode()
        move.out(Ask(tool_address(move.request.tool), UseTool(move.me), f"again-tool:{by}"))


def _granted(move: Move, _m: PlaceGranted) -> None:
    """The place came late: the rules may have changed meanwhile."""
    _from(move, tool_address(move.request.tool))
    if move.state.status == "budgeted":
        move.out(Ask(POLICY, CurrentPolicy(move.judged.hash), "still-policy"))


def _lost(move: Move, m: PlaceLost) -> None:
    _from(move, tool_address(move.request.tool))
    if move.state.status == "budgeted":
        _void(move, m.reason)


def _drop(move: Move, m: DropCall) -> None:
    sender = move.message.sender
    if "/" in sender and sender != move.request.asker:
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
    _from(move, move.me)
    if move.state.status == "begun":
        overdue(move, m)


# -- what came of it


def _outcome(move: Move, m: Outcome) -> None:
    performed = move.message.sender.startswith("effect:tool-")
    # Of what nobody knows, a person may say what became.
    if not performed and ("/" in move.message.sender or move.state.status != "unknown"):
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
    _from(move, f"run/{move.id}", begun.to if begun is not None and begun.via == "workflow" else "")
    if m.ref == "perform" and move.state.status in ("begun", "unknown"):
        answered(move, from_run(move, m))


def _conversed(move: Move, m: ConversationReplied) -> None:
    begun = move.state.begun
    _from(move, begun.to if begun is not None and begun.via == "agent" else "")
    if m.ref == "perform" and move.state.status in ("begun", "unknown"):
        answered(move, *from_conversation(move, m))


def _timed_out(_move: Move, _m: TimedOut) -> None:
    """Nothing is asked with a deadline."""


_DECISIONS: Final[dict[type[Any], Callable[[Move, Any], None]]] = {
    Replied: _replied,
    TellRefused: _refused,
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
    events=CALL_EVENTS,
)  # fmt: skip
