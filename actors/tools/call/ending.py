"""How a call ends: whoever asked is told, and everything it held is given back."""

from __future__ import annotations

from copy import copy
from typing import Any, Final

from actors.agents.messages import SettleBudget
from actors.approval import Consume, Release, Withdraw
from actors.core.outputs import Cancel, Tell
from actors.tools.call.move import Move
from actors.tools.messages import CallFinished, LeaveTool
from actors.tools.names import tool_address
from events.tools import CallAnswered, CallEnded

PLACED: Final = frozenset(("budgeted", "admitted", "begun", "answered"))
"""From when on a place was asked for."""

DECIDED: Final = frozenset(("denied", "expired", "withdrawn"))
"""What an approval says of itself when it is over without an agreement: nothing is to be given back."""


def stop(move: Move, status: str, stage: str, text: str, code: str = "") -> None:
    """A gate stops the call."""
    finish(move, CallEnded(status, stage, move.now, text, code or status, "trusted/private"))


def finish(move: Move, ended: CallEnded, data: Any = None) -> None:
    """End the call."""
    before = copy(move.state)
    late = before.ended is not None
    placed, budgets = before.status in PLACED, _reserved_budgets(move)
    answered = before.answered
    move.emit(ended)
    if placed and not late:
        move.out(Tell(tool_address(move.request.tool), LeaveTool(move.me)))
    cost = (answered.usage.get("usd") if answered is not None else None) or "0"
    move.out(*(Tell(budget, SettleBudget(move.me, cost)) for budget in budgets))
    move.out(*_approval(move, answered))
    if before.begun is not None and before.begun.to:
        move.out(Cancel("late"))
    if not late:
        _tell_asker(move, ended, data)


def _reserved_budgets(move: Move) -> list[str]:
    """Budgets that something may be set aside in, as far as is known: a settlement of nothing harms none."""
    state = move.state
    if state.judged is None or move.request.dry:
        return []
    passed = state.status == "approved" or (state.status == "judged" and state.judged.decision == "allow")
    return move.request.budgets if passed or state.status in PLACED else []


def _approval(move: Move, answered: CallAnswered | None) -> list[Any]:
    """An agreement is used up by an act; one that was not acted on is given back, and wanted no more. While nobody
    knows whether the act was done it stays reserved: nobody can act on it again."""
    state = move.state
    if not state.approval or (answered is not None and answered.status == "unknown"):
        return []
    if state.begun is not None:
        return [Tell(state.approval, Consume(move.me))]
    if state.ended is not None and state.ended.stage == "approval" and state.ended.code in DECIDED:
        return []
    reason = state.ended.text[:500] if state.ended is not None else ""
    return [Tell(state.approval, Release(move.me)), Tell(state.approval, Withdraw(reason))]


def _tell_asker(move: Move, ended: CallEnded, data: Any) -> None:
    request, answered = move.request, move.state.answered
    if not request.asker:
        return
    citations = answered.citations if answered is not None and ended.code != "withheld" else []
    usage = answered.usage if answered is not None else {}
    finished = CallFinished(
        request.ref, move.me, request.tool, ended.status, ended.text, ended.label, ended.code, ended.stage, data,
        citations, usage,
    )  # fmt: skip
    move.out(Tell(request.asker, finished))
