"""What everybody has: one row per account. A fork is a what-if and no money: its row says so, and counts nothing."""

from __future__ import annotations

from typing import Any

from events.envelope import Event
from events.system import Forked
from projections import Projection, Rows, Table

from .account import AccountClosed, AccountOpened, Credited, Debited, Deposited, Refunded, Withdrawn

TABLE = Table(
    "balances",
    columns={"tenant": str, "account": str, "balance": int, "status": str, "movements": int},
    key=("tenant", "account"),
    indexes=[("tenant", "balance")],
)


def apply(rows: Rows, event: Event, data: Any) -> None:
    """Fold one event into its account's row."""
    row = rows.get(TABLE, event.tenant, event.stream) or {
        "tenant": event.tenant, "account": event.stream, "balance": 0, "status": "new", "movements": 0,
    }  # fmt: skip
    match data:
        case Forked():
            row["status"] = "fork"
        case _ if row["status"] == "fork":
            return
        case AccountOpened():
            row["status"] = "open"
        case AccountClosed():
            row["status"] = "closed"
        case Deposited(amount) | Credited(_, amount) | Refunded(_, amount):
            row["balance"] += amount
            row["movements"] += 1
        case Withdrawn(amount) | Debited(_, amount):
            row["balance"] -= amount
            row["movements"] += 1
        case _:
            return
    rows.put(TABLE, row)


balances = Projection(
    "balances",
    version=2,
    tables=[TABLE],
    types=[AccountOpened, Deposited, Withdrawn, Debited, Credited, Refunded, AccountClosed, Forked],
    keys=lambda event, data: [(TABLE, (event.tenant, event.stream))],
    apply=apply,
    reads=("tenant", "stream"),
)
