"""An account: it holds money and refuses what it must not do."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from actors import Kind, Message, Refused, Reply

Amount = Annotated[int, Meta(ge=1, le=10**15)]
"""Money in the smallest unit there is."""


# Messages: what an account may be asked. `transfer` names the transfer that asks.


class Open(Struct, frozen=True):
    """Open the account, with money from outside. It will hold no more than `limit`."""

    deposit: Annotated[int, Meta(ge=0, le=10**15)] = 0
    limit: Amount | None = None


class Deposit(Struct, frozen=True):
    """Take money from outside."""

    amount: Amount


class Withdraw(Struct, frozen=True):
    """Give money to outside."""

    amount: Amount


class Debit(Struct, frozen=True):
    """Give money to a transfer."""

    transfer: str
    amount: Amount


class Credit(Struct, frozen=True):
    """Take money from a transfer."""

    transfer: str
    amount: Amount


class Refund(Struct, frozen=True):
    """Take back what a transfer could not deliver. Never refused: the money was ours."""

    transfer: str
    amount: Amount


class Close(Struct, frozen=True):
    """Take no more money, and give none."""


# Events: what happened.


class AccountOpened(Struct, frozen=True):
    """From here on it takes and gives."""

    limit: int | None = None


class Deposited(Struct, frozen=True):
    """Money came from outside."""

    amount: int


class Withdrawn(Struct, frozen=True):
    """Money went outside."""

    amount: int


class Debited(Struct, frozen=True):
    """A transfer has the money now."""

    transfer: str
    amount: int


class Credited(Struct, frozen=True):
    """A transfer brought money."""

    transfer: str
    amount: int


class Refunded(Struct, frozen=True):
    """A transfer brought our own money back."""

    transfer: str
    amount: int


class AccountClosed(Struct, frozen=True):
    """From here on it takes and gives nothing, refunds excepted."""


class Account(Struct):
    """`status` is new, open or closed."""

    balance: int = 0
    limit: int | None = None
    status: str = "new"


def decide(state: Account, message: Message) -> list[Any]:
    """What an account makes of a message."""
    match message.data:
        case Open(deposit, limit):
            if state.status != "new":
                raise Refused(f"{message.to} is {state.status} already", code="already-open")
            _room(state, deposit, limit)
            return [AccountOpened(limit), *([Deposited(deposit)] if deposit else []), Reply({"balance": deposit})]
        case Deposit(amount):
            _open(state, message)
            _room(state, amount, state.limit)
            return [Deposited(amount), Reply({"balance": state.balance + amount})]
        case Withdraw(amount):
            _open(state, message)
            _cover(state, amount)
            return [Withdrawn(amount), Reply({"balance": state.balance - amount})]
        case Debit(transfer, amount):
            _open(state, message)
            _cover(state, amount)
            return [Debited(transfer, amount)]
        case Credit(transfer, amount):
            _open(state, message)
            _room(state, amount, state.limit)
            return [Credited(transfer, amount)]
        case Refund(transfer, amount):
            return [Refunded(transfer, amount)]
        case Close():
            _open(state, message)
            return [AccountClosed()]
        case _:
            return []


def _open(state: Account, message: Message) -> None:
    if state.status != "open":
        raise Refused(f"{message.to} is not open", code="not-open")


def _cover(state: Account, amount: int) -> None:
    if amount > state.balance:
        raise Refused(f"{amount} is more than the balance of {state.balance}", code="overdraft")


def _room(state: Account, amount: int, limit: int | None) -> None:
    if limit is not None and state.balance + amount > limit:
        raise Refused(f"{amount} would exceed the limit of {limit}", code="over-limit")


def evolve(state: Account, event: Any) -> Account:
    """What an event changes."""
    match event:
        case AccountOpened(limit):
            state.status = "open"
            state.limit = limit
        case Deposited(amount) | Credited(_, amount) | Refunded(_, amount):
            state.balance += amount
        case Withdrawn(amount) | Debited(_, amount):
            state.balance -= amount
        case AccountClosed():
            state.status = "closed"
        case _:
            pass
    return state


class Balance(Struct, frozen=True):
    """How much is there?"""


def query(state: Account, question: Any) -> Any:
    """Answer without leaving a trace."""
    return {"balance": state.balance, "status": state.status}


account = Kind(
    "account",
    state=Account,
    decide=decide,
    evolve=evolve,
    query=query,
    messages=[Open, Deposit, Withdraw, Debit, Credit, Refund, Close],
    events=[AccountOpened, Deposited, Withdrawn, Debited, Credited, Refunded, AccountClosed],
    questions=[Balance],
)
