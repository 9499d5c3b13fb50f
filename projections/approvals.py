"""Approvals: what people are asked to agree to, who agreed, and what came of it."""

from __future__ import annotations

from typing import Any, Final

from events.approvals import (
    APPROVAL_EVENTS,
    ApprovalConsumed,
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGiven,
    ApprovalReached,
    ApprovalReleased,
    ApprovalRequested,
    ApprovalReserved,
    ApprovalWithdrawn,
)
from events.envelope import Event
from projections.core.definition import Projection, Ref, Row, Table
from projections.core.rows import Rows
from projections.runs import plain
from projections.timeline import text

APPROVALS: Final = Table(
    "approvals",
    {
        "tenant": str,
        "approval": str,
        "status": str,
        "title": str,
        "what": dict,
        "digest": str,
        "requested_by": str,
        "ref": str,
        "approvers": list,
        "quorum": int,
        "given": list,
        "requested_at": int,
        "expires_at": int | None,
        "decided_at": int | None,
        "holder": str | None,
        "note": str | None,
    },
    key=("tenant", "approval"),
    indexes=[("status", "tenant", "requested_at"), ("requested_by", "tenant")],
)
"""`status` is waiting, reached, reserved, consumed, denied, expired or withdrawn. `what` is `{"value": …}`, `given` a
list of `{by, at, note}`; `note` is why it was denied or withdrawn."""


def keys(event: Event, data: Any) -> list[Ref]:
    """The approval."""
    return [(APPROVALS, (event.tenant, event.stream.partition("/")[2]))]


def apply(rows: Rows, event: Event, data: Any) -> None:
    """What the event makes of it."""
    name = event.stream.partition("/")[2]
    if isinstance(data, ApprovalRequested):
        rows.put(APPROVALS, _requested(event, name, data))
        return
    row = rows.get(APPROVALS, event.tenant, name)
    if row is None:
        return
    match data:
        case ApprovalGiven():
            row["given"] = [*row["given"], {"by": text(data.by), "at": data.at, "note": text(data.note)}]
        case ApprovalReached(at=at):
            row.update(status="reached", decided_at=at)
        case ApprovalDenied():
            why = f"{data.by}: {data.note}" if data.note else data.by
            row.update(status="denied", decided_at=data.at, note=text(why))
        case ApprovalExpired(at=at):
            row.update(status="expired", decided_at=row["decided_at"] or at)
        case ApprovalWithdrawn(at=at, reason=reason):
            row.update(status="withdrawn", decided_at=at, note=text(reason) or None)
        case ApprovalReserved(holder=holder):
            row.update(status="reserved", holder=text(holder))
        case ApprovalConsumed():
            row["status"] = "consumed"
        case ApprovalReleased():
            row.update(status="reached", holder=None)
        case _:
            return
    rows.put(APPROVALS, row)


def _requested(event: Event, name: str, e: ApprovalRequested) -> Row:
    return {
        "tenant": event.tenant,
        "approval": name,
        "status": "waiting",
        "title": text(e.title),
        "what": plain({"value": e.what}),
        "digest": e.digest,
        "requested_by": text(e.requested_by)[:400],
        "ref": text(e.ref),
        "approvers": plain(e.approvers),
        "quorum": e.quorum,
        "given": [],
        "requested_at": e.at,
        "expires_at": e.expires_at,
        "decided_at": None,
        "holder": None,
        "note": None,
    }


PROJECTION = Projection(
    "approvals",
    version=1,
    tables=[APPROVALS],
    types=APPROVAL_EVENTS,
    keys=keys,
    apply=apply,
    reads=("tenant", "stream"),
)
