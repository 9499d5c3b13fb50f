"""What those say who were asked: the tool, the policy, the approval, the budgets; and what comes next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from actors.approval import Reserve
from actors.core.outputs import Ask, Replied, TellRefused
from actors.tools.call.ending import stop
from actors.tools.call.gates import POLICY, admitted, budget, guard, pin, stricter_now, through
from actors.tools.call.move import Move
from actors.tools.call.performing import answered
from actors.tools.messages import CurrentPolicy
from actors.tools.names import tool_address
from events.errors import Refused
from events.tools import CallAnswered, CallApproved


def heard_from(move: Move, *senders: str) -> None:
    """Only these may say it. Raises Refused."""
    if move.message.sender not in senders:
        raise Refused(f"{move.message.sender} is not who was asked", code="sender")


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


def replied(move: Move, m: Replied) -> None:
    """An answer counts from the one who was asked, while the call waits for it."""
    heard_from(move, _asked(move, m.ref))
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
        void(move, "the definition of the tool changed after it was asked for")
        return
    move.out(Ask(POLICY, CurrentPolicy(), _with(m.ref, "again-policy")))


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
    """Whether the policy is the one that judged the call, and lets it through still; if not, the call is over."""
    why = stricter_now(move)
    if why:
        void(move, why)
    return not why


def void(move: Move, why: str) -> None:
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


def refused(move: Move, m: TellRefused) -> None:
    """Somebody who was asked said no. What was only told may be refused: a place or an agreement that is gone."""
    if not m.ref:
        return
    heard_from(move, _asked(move, m.ref))
    status, what = move.state.status, m.ref.partition(":")[0]
    if what == "policy" and status == "labelled":
        through(move, guard)
    elif what == "perform" and status == "begun":
        answered(move, CallAnswered("failed", move.now, error=m.reason))
    elif what in ("again-tool", "again-policy") and status == "asked":
        void(move, m.reason)
    elif what in ("place", "still-policy") and status == "budgeted":
        if m.code in ("changed", "disabled") or move.state.approval:
            void(move, m.reason)
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
