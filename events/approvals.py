"""Approvals as a story: people are asked to agree to exactly this; they do or do not; an agreement is used once."""

from __future__ import annotations

from typing import Any

import msgspec


class ApprovalRequested(msgspec.Struct, frozen=True, omit_defaults=True):
    """Agreement is asked for. `digest` is that of `what`, `expires_at` in µs, `requesters` the chain of who asked."""

    ref: str
    digest: str
    what: Any
    requested_by: str
    at: int
    title: str = ""
    approvers: list[str] = []
    quorum: int = 1
    expires_at: int | None = None
    requesters: list[str] = []


class ApprovalGiven(msgspec.Struct, frozen=True, omit_defaults=True):
    """One person agreed, to that digest."""

    by: str
    at: int
    digest: str
    note: str = ""


class ApprovalDenied(msgspec.Struct, frozen=True, omit_defaults=True):
    """One person said no: that settles it."""

    by: str
    at: int
    note: str = ""


class ApprovalReached(msgspec.Struct, frozen=True):
    """As many agreed as had to."""

    by: list[str]
    at: int


class ApprovalExpired(msgspec.Struct, frozen=True):
    """Nobody settled it in time, or nobody used it in time."""

    at: int


class ApprovalWithdrawn(msgspec.Struct, frozen=True):
    """Whoever asked does not need it any more."""

    at: int
    reason: str = ""


class ApprovalReserved(msgspec.Struct, frozen=True):
    """Somebody is about to act on it; nobody else can. `holder` names the act."""

    holder: str
    digest: str
    at: int


class ApprovalConsumed(msgspec.Struct, frozen=True):
    """It was acted on: it is used up."""

    holder: str
    at: int


class ApprovalReleased(msgspec.Struct, frozen=True):
    """The act did not happen: the reservation is over."""

    holder: str
    at: int


APPROVAL_EVENTS = (
    ApprovalRequested, ApprovalGiven, ApprovalDenied, ApprovalReached, ApprovalExpired, ApprovalWithdrawn,
    ApprovalReserved, ApprovalConsumed, ApprovalReleased,
)  # fmt: skip
