"""The places of a tool and its rate: who may be under way, and whose turn it is."""

from __future__ import annotations

from typing import Any, Final

from actors.core.outputs import Cancel, Reply, Schedule, Tell
from actors.tools.messages import EnterTool, LeaveTool, PlaceGranted, PlaceLost, RateDue
from actors.tools.tool_fold import MINUTE, ToolState
from events.address import is_address
from events.envelope import Message
from events.errors import Refused
from events.tools import ToolDefinition, ToolUseEnded, ToolUseGranted, ToolUseQueued

WAITING: Final = 10_000
"""Calls that may wait for a place of one tool."""


def usable(state: ToolState, message: Message) -> ToolDefinition:
    """The pinned definition. Raises Refused while it may not be used."""
    if state.status == "new":
        raise Refused(f"there is no tool {message.to.partition('/')[2]}", code="not-found")
    if state.status != "approved" or state.definition is None:
        raise Refused(f"{message.to.partition('/')[2]} is {state.status}: {state.reason}", code="disabled")
    return state.definition


def enter(state: ToolState, m: EnterTool, message: Message) -> list[Any]:
    """A call wants a place."""
    if not message.sender.startswith("call/"):
        raise Refused(f"{message.sender} is not a call", code="caller")
    definition = usable(state, message)
    if m.hash != state.hash:
        raise Refused(f"the definition is {state.hash} by now, not {m.hash}", code="changed")
    call, now = message.sender, message.time
    if call in state.held or call in state.waiting:
        return [Reply({"granted": call in state.held, "hash": state.hash})]
    if len(state.waiting) >= WAITING:
        raise Refused(f"{len(state.waiting)} calls wait for {definition.name}", code="busy")
    free = not state.waiting and len(state.held) < definition.at_once
    due = _due(state.granted, definition, now)
    if free and due is None:
        return [ToolUseGranted(call, now, m.group), Reply({"granted": True, "hash": state.hash})]
    why = "all places are taken" if due is None or not free else f"{definition.per_minute} a minute"
    queued = ToolUseQueued(call, now, why, m.group)
    return [queued, *_timer(due), Reply({"granted": False, "hash": state.hash})]


def leave(state: ToolState, m: LeaveTool, message: Message) -> list[Any]:
    """A call gives its place back; a person may say so of one, an actor only of itself."""
    call = message.sender if is_address(message.sender) else m.call
    if call not in state.held and call not in state.waiting:
        return []
    return [ToolUseEnded(call, message.time), *_let_in(state, message, gone=call)]


def rate(state: ToolState, _m: RateDue, message: Message) -> list[Any]:
    """The rate may allow more by now."""
    return _let_in(state, message, gone="")


def _let_in(state: ToolState, message: Message, *, gone: str) -> list[Any]:
    """Let in as many of those who wait as there are places, and as the rate allows."""
    definition = state.definition
    if definition is None or state.status != "approved":
        return []
    now = message.time
    outs: list[Any] = []
    free = definition.at_once - len(state.held) + (gone in state.held)
    waiting = {call: one for call, one in state.waiting.items() if call != gone}
    granted, turns, number = list(state.granted), dict(state.turns), state.number
    due = None
    while waiting and free > 0:
        due = _due(granted, definition, now)
        if due is not None:
            break
        call = min(waiting, key=lambda c: (turns.get(waiting[c].group, -1), waiting[c].number))
        group = waiting.pop(call).group
        number += 1
        turns[group] = number
        free -= 1
        granted.append(now)
        outs += [ToolUseGranted(call, now, group), Tell(call, PlaceGranted(call))]
    return [*outs, *_timer(due)]


def _due(granted: list[int], definition: ToolDefinition, now: int) -> int | None:
    """When the rate allows another call; None: now."""
    if not definition.per_minute:
        return None
    recent = [at for at in granted if at > now - MINUTE]
    return None if len(recent) < definition.per_minute else recent[-definition.per_minute] + MINUTE


def _timer(due: int | None) -> list[Any]:
    return [] if due is None else [Schedule("rate", RateDue(), at=due)]


def turned_away(state: ToolState, reason: str) -> list[Any]:
    """Those who wait hear that there will be no place."""
    tells: list[Any] = [Tell(call, PlaceLost(call, "disabled", reason)) for call in state.waiting]
    return [*tells, Cancel("rate")] if tells else []
