"""The actor kind `budget` (`budget/<scope>.<id>`): dollars of a tenant, an agent, a conversation, a cause.

A call is let in while anything is left after what is spent and what calls under way have reserved; so all of them
together overshoot by less than one call, as far as none costs more than was thought. A call that was lost settles at
its estimate; when its real cost is told later, that counts instead. Amounts are decimals, added without rounding.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any, Final

import msgspec

from actors.agents.messages import ReserveBudget, SetBudget, SettleBudget
from actors.core.kind import Kind
from actors.core.outputs import Reply
from events.agents import BUDGET_EVENTS, BudgetRefused, BudgetReserved, BudgetSet, BudgetSettled
from events.envelope import Message
from events.errors import Refused
from events.pricing import plain

PERIODS: Final = ("total", "day", "month")

CORRECTABLE: Final = 1_000
"""Settlements at an estimate that can still be corrected: the latest ones."""

_EXACT: Final = Context(prec=200, traps=[Inexact, InvalidOperation])
_DECIMAL: Final = re.compile(r"\d{1,18}(\.\d{1,40})?")


class DescribeBudget(msgspec.Struct, frozen=True):
    """A question: what may be spent, is spent, is reserved."""


class Budget(msgspec.Struct, omit_defaults=True):
    """`spent` in the `window` (a day, a month, or "" for ever). `reserved` and `estimated` are dollars by holder."""

    usd: str | None = None
    period: str = "total"
    window: str = ""
    spent: str = "0"
    reserved: dict[str, str] = {}
    held: str = "0"
    estimated: dict[str, str] = {}


def plus(a: str, b: str) -> str:
    """The exact sum of two decimals."""
    return plain(_EXACT.add(Decimal(a), Decimal(b)))


def minus(a: str, b: str) -> str:
    """The exact difference of two decimals."""
    return plain(_EXACT.subtract(Decimal(a), Decimal(b)))


def window_of(period: str, at: int) -> str:
    """The day or the month (UTC) of a time in µs; "" when there is only one."""
    if period == "total":
        return ""
    moment = datetime.fromtimestamp(at // 1_000_000, UTC)
    return moment.strftime("%Y-%m-%d" if period == "day" else "%Y-%m")


def left_of(state: Budget, at: int) -> str | None:
    """What is left at a time, below zero when more was spent; None without a limit."""
    if state.usd is None:
        return None
    spent = state.spent if window_of(state.period, at) <= state.window else "0"
    return minus(state.usd, plus(spent, state.held))


def decide(state: Budget, message: Message) -> list[Any]:
    """What a budget makes of a message."""
    match message.data:
        case SetBudget(usd, period, by):
            return _set(state, usd, period, by or message.sender, message)
        case ReserveBudget(holder, usd):
            return _reserve(state, holder, usd, message)
        case SettleBudget(holder, usd, estimated):
            return [_settled(state, holder, _amount(usd), estimated, message.time), Reply({"settled": True})]
        case _:
            return []


def _set(state: Budget, usd: str | None, period: str, by: str, message: Message) -> list[Any]:
    if period not in PERIODS:
        raise Refused(f"{period!r} is not one of {', '.join(PERIODS)}", code="period")
    usd = None if usd is None else _amount(usd)
    reply = Reply({"usd": usd, "period": period})
    if (usd, period) == (state.usd, state.period):
        return [reply]
    return [BudgetSet(usd, period, message.time, by), reply]


def _reserve(state: Budget, holder: str, usd: str, message: Message) -> list[Any]:
    usd, left = _amount(usd), left_of(state, message.time)
    if holder in state.reserved:
        return [Reply({"granted": True, "left": left})]
    if left is not None and Decimal(left) <= 0:
        refused = BudgetRefused(holder, usd, left, message.time, message.sender)
        return [refused, Reply({"granted": False, "left": left})]
    reserved = BudgetReserved(holder, usd, message.time, message.sender)
    return [reserved, Reply({"granted": True, "left": None if left is None else minus(left, usd)})]


def _settled(state: Budget, holder: str, usd: str, estimated: bool, now: int) -> BudgetSettled:
    counted = window_of(state.period, now) <= state.window
    instead = state.estimated.get(holder, "") if counted else ""
    return BudgetSettled(holder, usd, now, estimated, state.reserved.get(holder, ""), instead)


def _amount(text: str) -> str:
    """An amount as it is kept. Raises Refused for what is none."""
    if not _DECIMAL.fullmatch(text):
        raise Refused(f"{text[:60]!r} is no amount: a decimal such as 0.0125 is, not below zero", code="amount")
    return text


def evolve(state: Budget, event: Any) -> Budget:
    """What an event makes of a budget."""
    match event:
        case BudgetSet(usd, period, at):
            if period != state.period:
                state.window = window_of(period, at)
            state.usd, state.period = usd, period
            _turn(state, at)
        case BudgetReserved(holder, usd, at):
            _turn(state, at)
            state.reserved[holder] = usd
            state.held = plus(state.held, usd)
        case BudgetSettled(holder, usd, at, estimated, freed, instead):
            _turn(state, at)
            state.reserved.pop(holder, None)
            state.estimated.pop(holder, None)
            state.held = minus(state.held, freed or "0")
            state.spent = minus(plus(state.spent, usd), instead or "0")
            if estimated:
                state.estimated[holder] = usd
                if len(state.estimated) > CORRECTABLE:
                    del state.estimated[next(iter(state.estimated))]
        case _:
            pass
    return state


def _turn(state: Budget, at: int) -> None:
    """A new day or month begins with nothing spent. Hosts' clocks differ: it never goes back."""
    window = window_of(state.period, at)
    if window > state.window:
        state.window, state.spent = window, "0"
        state.estimated = {}


def query(state: Budget, _question: DescribeBudget) -> Any:
    """What may be spent, is spent and is reserved."""
    return {
        "usd": state.usd, "period": state.period, "window": state.window, "spent": state.spent,
        "reserved": state.held, "calls": len(state.reserved),
    }  # fmt: skip


budget = Kind(
    "budget", state=Budget, decide=decide, evolve=evolve, query=query, questions=[DescribeBudget],
    messages=[SetBudget, ReserveBudget, SettleBudget], inner=[ReserveBudget, SettleBudget],
    events=BUDGET_EVENTS, snapshot_every=1000,
)  # fmt: skip
