"""Dollars of model calls: what one may cost, which budgets it is set aside in, and what it cost in the end.

Budgets are asked one after the other, the nearest first, and only those the definition names.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal
from hashlib import blake2b
from typing import Any, Final, cast

from actors.agents.conversation.decision import Decision
from actors.agents.definition.plan import AgentDefinition
from actors.agents.messages import ReserveBudget, SetBudget, SettleBudget
from actors.core.outputs import Ask, Tell
from events.conversations import BudgetAsked

SCOPES: Final = ("conversation", "cause", "agent", "tenant")

OUTPUT: Final = 1024
"""Tokens an answer is thought to have when the definition does not say how many it may have."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._~-]{1,150}")
_EXACT: Final = Context(prec=60)
_MILLION: Final = Decimal(1_000_000)


def estimate(definition: AgentDefinition, tokens: int) -> str:
    """What a call with so long a prompt may cost, in dollars."""
    if definition.scripted:
        return "0"
    rates = definition.rates.get(definition.models[0]) if definition.models else None
    if rates is None:
        return definition.estimate
    written = definition.max_tokens or OUTPUT
    cost = _EXACT.add(Decimal(rates[0]) * tokens, Decimal(rates[1]) * written)
    return format(_EXACT.divide(cost, _MILLION).quantize(Decimal("0.0000000001")), "f")


def budgets_of(d: Decision) -> list[str]:
    """The addresses of the budgets that apply."""
    limits = d.definition.budgets
    ids = {"conversation": d.name(), "cause": _named(d.turn.cause), "agent": d.state.agent, "tenant": d.message.tenant}
    return [f"budget/{scope}.{ids[scope]}" for scope in SCOPES if getattr(limits, scope) is not None and ids[scope]]


def _named(cause: str) -> str:
    """A cause as a part of an address: what started it all may have come from outside, under any id."""
    return cause if not cause or _PLAIN.fullmatch(cause) else blake2b(cause.encode(), digest_size=16).hexdigest()


def reserve(d: Decision, call: str, attempt: int, budgets: list[str], dollars: str) -> None:
    """Ask the first budget; the limits of the conversation and of the cause are told from here."""
    turn, limits = d.turn, d.definition.budgets
    d.emit(BudgetAsked(turn.number, turn.step, attempt, call, budgets, dollars, d.now))
    for scope in ("conversation", "cause"):
        to = next((b for b in budgets if b.startswith(f"budget/{scope}.")), None)
        if to is not None:
            d.out(Tell(to, SetBudget(getattr(limits, scope), limits.periods.get(scope, "total"), d.address)))
    ask(d, call, budgets, 0, dollars)


def ask(d: Decision, call: str, budgets: list[str], index: int, dollars: str) -> None:
    """Ask one of the budgets."""
    turn = d.turn
    ref = f"budget:{turn.number}.{turn.step}.{turn.attempt}.{index}"
    d.out(Ask(budgets[index], ReserveBudget(call, dollars), ref=ref))


def settle(d: Decision, call: str, budgets: list[str], dollars: str, *, estimated: bool = False) -> None:
    """Tell the budgets what a call cost."""
    for to in budgets:
        d.out(Tell(to, SettleBudget(call, dollars, estimated)))


def release(d: Decision) -> None:
    """The call that was waited for is not made: what is set aside for it, or will be, is free again."""
    turn = d.turn
    settle(d, d.name(turn.number, turn.step, turn.attempt), budgets_of(d), "0")


def granted(data: Any) -> bool:
    """Whether a budget lets the call in."""
    return isinstance(data, dict) and bool(cast("dict[str, Any]", data).get("granted"))
