"""The state of a tool, and what events make of it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from events.tools import (
    ToolApproved,
    ToolDefinition,
    ToolDisabled,
    ToolSeen,
    ToolUseEnded,
    ToolUseGranted,
    ToolUseQueued,
)

MINUTE: Final = 60_000_000


class Waiting(msgspec.Struct, frozen=True):
    """A call that waits for a place."""

    group: str
    number: int


class ToolState(msgspec.Struct, omit_defaults=True):
    """`status`: new, waiting (for a first approval), approved, changed, disabled.

    `definition` is the one that is pinned, `seen` the last one a host had, if it is another. `held` says since when
    calls hold a place, `granted` when places were taken in the last minute, `turns` the last turn of each group.
    """

    status: str = "new"
    hash: str = ""
    definition: ToolDefinition | None = None
    seen_hash: str = ""
    seen: ToolDefinition | None = None
    origin: str = ""
    reason: str = ""
    diff: list[str] = []
    approved_by: str = ""
    held: dict[str, int] = {}
    waiting: dict[str, Waiting] = {}
    granted: list[int] = []
    turns: dict[str, int] = {}
    number: int = 0


def evolve(state: ToolState, event: Any) -> ToolState:
    """What an event makes of a tool."""
    match event:
        case ToolSeen():
            _see_event(state, event)
        case ToolApproved(hash=hash):
            if state.seen is not None and hash == state.seen_hash:
                state.definition, state.hash = state.seen, hash
            _agreed(state, event.by)
        case ToolDisabled(reason=reason, diff=diff):
            state.status = "changed" if diff and state.status != "disabled" else "disabled"
            state.reason, state.diff = reason, diff or state.diff
            state.waiting = {}
        case ToolUseGranted(call=call, at=at, group=group):
            state.waiting.pop(call, None)
            state.held[call] = at
            state.number += 1
            state.turns[group] = state.number
            if len(state.turns) > 1000:
                state.turns = dict(sorted(state.turns.items(), key=lambda item: item[1])[-500:])
            if state.definition is not None and state.definition.per_minute:
                state.granted = [*(t for t in state.granted if t > at - MINUTE), at]
        case ToolUseQueued(call=call, group=group):
            state.number += 1
            state.waiting[call] = Waiting(group, state.number)
            state.turns.setdefault(group, state.number)
        case ToolUseEnded(call=call):
            state.held.pop(call, None)
            state.waiting.pop(call, None)
        case _:
            pass
    return state


def _see_event(state: ToolState, event: ToolSeen) -> None:
    state.origin = event.origin
    if event.approved:
        state.definition, state.hash = event.definition, event.hash
        if state.status != "disabled":
            _agreed(state, state.approved_by)
        state.seen, state.seen_hash = None, ""
        return
    state.seen, state.seen_hash = event.definition, event.hash
    if state.definition is None and state.status != "disabled":
        state.status, state.reason = "waiting", "nobody has approved it yet"


def _agreed(state: ToolState, by: str) -> None:
    state.status, state.reason, state.approved_by = "approved", "", by
    state.seen, state.seen_hash, state.diff = None, "", []
