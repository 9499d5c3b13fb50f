"""The state of a call, and what events make of it. Nothing in it is changed in place."""

from __future__ import annotations

from typing import Any

import msgspec

from events.tools import (
    CallAdmitted,
    CallAnswered,
    CallApprovalAsked,
    CallApproved,
    CallBegun,
    CallBudgeted,
    CallEnded,
    CallGuarded,
    CallJudged,
    CallLabelled,
    CallPinned,
    CallRequested,
)


class CallState(msgspec.Struct, omit_defaults=True):
    """`status`: new, requested, pinned, labelled, guarded, judged, asked, approved, budgeted, admitted, begun,
    answered; then how it ended: succeeded, failed, unknown, refused, denied, expired, cancelled."""

    status: str = "new"
    request: CallRequested | None = None
    pinned: CallPinned | None = None
    labels: dict[str, str] = {}
    joined: str = ""
    held: bool = False
    """A guard wants people to look."""
    judged: CallJudged | None = None
    approval: str = ""
    digest: str = ""
    approved_by: list[str] = []
    reserved: bool = False
    budgeted_at: int = 0
    begun: CallBegun | None = None
    answered: CallAnswered | None = None
    ended: CallEnded | None = None


def evolve(state: CallState, event: Any) -> CallState:
    """What an event makes of a call."""
    match event:
        case CallRequested():
            state.status, state.request = "requested", event
        case CallPinned():
            state.status, state.pinned = "pinned", event
        case CallLabelled(labels=labels, joined=joined):
            state.status, state.labels, state.joined = "labelled", labels, joined
        case CallGuarded(edge=edge, verdicts=verdicts):
            if edge == "tool-call":
                state.status = "guarded"
                state.held = any(verdict.action == "hold" for verdict in verdicts)
        case CallJudged():
            state.status, state.judged = "judged", event
        case CallApprovalAsked(approval=approval, digest=digest):
            state.status, state.approval, state.digest = "asked", approval, digest
        case CallApproved(by=by):
            state.status, state.approved_by, state.reserved = "approved", by, True
        case CallBudgeted(at=at):
            state.status, state.budgeted_at = "budgeted", at
        case CallAdmitted():
            state.status = "admitted"
        case CallBegun():
            state.status, state.begun = "begun", event
        case CallAnswered():
            state.status, state.answered = "answered", event
        case CallEnded():
            state.status, state.ended = event.status, event
        case _:
            pass
    return state
