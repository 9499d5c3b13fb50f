"""An approval: people agree to exactly this, or do not. Whoever asked is told once."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec


class RequestApproval(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ask people to agree to `what`. `ref` is what the asker calls it; `expires` in seconds."""

    ref: str
    what: Any
    requested_by: str
    title: str = ""
    approvers: list[str] = []
    quorum: int = 1
    expires: float | None = None


class ApprovalDecided(msgspec.Struct, frozen=True, omit_defaults=True):
    """Told to whoever asked. `reason_kind`: denied, expired, withdrawn."""

    ref: str
    approved: bool
    digest: str
    by: list[str] = []
    reason: str = ""
    reason_kind: str = ""


def approval_of(address: str, place: str) -> str:
    """The address of the approval that a step of a run waits for."""
    name = f"{address.partition('/')[2]}.{place}"
    if len(name) > 150:
        name = f"{name[:110]}~{blake2b(name.encode(), digest_size=16).hexdigest()}"
    return f"approval/{name}"
