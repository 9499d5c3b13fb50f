"""A transfer moves money between two accounts: debit one, then credit the other, or give it back.

It is idempotent by its id: asked again it tells how it stands. No step waits, no step is lost, none happens twice.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from actors import Ask, Kind, Message, Refused, Replied, Reply, TellRefused

from .account import Amount, Credit, Debit, Refund

AccountAddress = Annotated[str, Meta(pattern=r"^account/[A-Za-z0-9._:-]{1,100}$")]


class Transfer(Struct, frozen=True):
    """Move `amount` from one account to another."""

    source: AccountAddress
    target: AccountAddress
    amount: Amount


class TransferStarted(Struct, frozen=True):
    """The source is being asked."""

    source: str
    target: str
    amount: int


class SourceDebited(Struct, frozen=True):
    """The money left the source."""


class CreditRefused(Struct, frozen=True):
    """The target would not take the money, so it goes back."""

    code: str
    reason: str


class TransferCompleted(Struct, frozen=True):
    """The target has the money."""


class TransferRefused(Struct, frozen=True):
    """The source would not give the money; nothing moved."""

    code: str
    reason: str


class TransferRefunded(Struct, frozen=True):
    """The source has its money back."""


class State(Struct):
    """`status` is new, started, debited, refunding; in the end completed, refused or refunded."""

    status: str = "new"
    source: str = ""
    target: str = ""
    amount: int = 0
    reason: str = ""


def decide(state: State, message: Message) -> list[Any]:
    """What a transfer does next."""
    match message.data:
        case Transfer(source, target, amount):
            return _transfer(state, message, TransferStarted(source, target, amount))
        case Replied("debit"):
            return [SourceDebited(), Ask(state.target, Credit(message.to, state.amount), ref="credit")]
        case TellRefused(ref="debit", code=code, reason=reason):
            return [TransferRefused(code, reason)]
        case Replied("credit"):
            return [TransferCompleted()]
        case TellRefused(ref="credit", code=code, reason=reason):
            return [CreditRefused(code, reason), Ask(state.source, Refund(message.to, state.amount), ref="refund")]
        case Replied("refund"):
            return [TransferRefunded()]
        case _:
            return []


def _transfer(state: State, message: Message, asked: TransferStarted) -> list[Any]:
    if asked.source == asked.target:
        raise Refused("source and target are the same account", code="same-account")
    if state.status == "new":
        debit = Ask(asked.source, Debit(message.to, asked.amount), ref="debit")
        return [asked, debit, Reply({"status": "started"})]
    if (asked.source, asked.target, asked.amount) != (state.source, state.target, state.amount):
        raise Refused(f"{message.to} was started with other terms", code="other-terms")
    return [Reply({"status": state.status, "reason": state.reason} if state.reason else {"status": state.status})]


def evolve(state: State, event: Any) -> State:
    """What an event changes."""
    match event:
        case TransferStarted(source, target, amount):
            state.status = "started"
            state.source, state.target, state.amount = source, target, amount
        case SourceDebited():
            state.status = "debited"
        case TransferRefused(_, reason):
            state.status, state.reason = "refused", reason
        case CreditRefused(_, reason):
            state.status, state.reason = "refunding", reason
        case TransferCompleted():
            state.status = "completed"
        case TransferRefunded():
            state.status = "refunded"
        case _:
            pass
    return state


transfer = Kind(
    "transfer",
    state=State,
    decide=decide,
    evolve=evolve,
    messages=[Transfer, Replied, TellRefused],
    events=[TransferStarted, SourceDebited, CreditRefused, TransferCompleted, TransferRefused, TransferRefunded],
)
