"""The actor kind `tool` (`tool/<name>`): its pinned definition, whether it may be used, its places and its rate.

new → approved ⇄ changed → …; disabled by a person until a person approves it. Only the definition of one hash is ever
handed out: the one that is approved. A change stops the tool until somebody agreed to it; a change taken back, too,
ends that. Those who wait take turns by group, within a group in the order they came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from actors.core.kind import EFFECT_CLASSES, Kind
from actors.core.outputs import Reply
from actors.tools.differences import differences
from actors.tools.labels import parse
from actors.tools.messages import (
    ApproveTool,
    DescribeTool,
    DisableTool,
    EnterTool,
    LeaveTool,
    RateDue,
    SeeTool,
    UseTool,
)
from actors.tools.names import tool_address
from actors.tools.risk import SANDBOX
from actors.tools.tool import RISKS, ROLES, hash_of
from actors.tools.tool_fold import ToolState, evolve
from actors.tools.tool_places import enter, leave, rate, turned_away, usable
from actors.workflows.inputs import schema_problem
from events.address import OUTSIDE, is_address
from events.envelope import Message
from events.errors import InvalidData, Refused
from events.tools import TOOL_EVENTS, ToolApproved, ToolDefinition, ToolDisabled, ToolSeen


def decide(state: ToolState, message: Message) -> list[Any]:
    """What a tool makes of a message."""
    return _DECISIONS[message.data.__class__](state, message.data, message)


# -- what it is


def definition_problem(definition: ToolDefinition) -> str:
    """What is wrong with a definition; "" when nothing is."""
    for what, value, known in (
        ("risk tier", definition.risk, RISKS),
        ("effect class", definition.effect_class, EFFECT_CLASSES),
        ("performer", definition.via, ("function", "mcp", "workflow", "agent")),
        ("sandbox level", definition.sandbox, SANDBOX),
        *(("role", role, ROLES) for role in definition.roles.values()),
    ):
        if value not in known:
            return f"{value!r} is no {what}"
    if definition.at_once < 1 or definition.per_minute < 0 or not definition.timeout > 0:
        return "a tool has at least one place, a rate that is not negative, and a time that is not over at once"
    try:
        parse(definition.result)
    except InvalidData as error:
        return error.message
    return schema_problem(definition.parameters)


def _see(state: ToolState, m: SeeTool, message: Message) -> list[Any]:
    if tool_address(m.definition.name) != message.to:
        raise Refused(f"the tool is called {m.definition.name!r}, which is not {message.to}", code="name")
    if hash_of(m.definition) != m.hash:
        raise Refused("the hash is not that of the definition", code="hash")
    if problem := definition_problem(m.definition):
        raise Refused(f"{m.definition.name}: {problem}", code="definition")
    return _seen(state, m, message)


def _seen(state: ToolState, m: SeeTool, message: Message) -> list[Any]:
    now, by = message.time, message.sender
    if state.definition is None:
        if m.hash == state.seen_hash:
            return [Reply({"hash": m.hash, "status": state.status})]
        # What a person says there is, no host has: it waits like what others say.
        approved = m.origin == "" and state.status == "new" and message.sender.partition(":")[0] not in OUTSIDE
        status = "approved" if approved else "waiting"
        return [ToolSeen(m.hash, m.definition, approved, now, by, m.origin), Reply({"hash": m.hash, "status": status})]
    if m.hash == state.hash:
        if not state.seen_hash:
            return [Reply({"hash": m.hash, "status": state.status})]
        # The change was taken back: what is seen is what was agreed to. A person's no stands, though.
        status = "disabled" if state.status == "disabled" else "approved"
        return [ToolSeen(m.hash, m.definition, True, now, by, m.origin), Reply({"hash": m.hash, "status": status})]
    status = "disabled" if state.status == "disabled" else "changed"
    if m.hash == state.seen_hash:
        return [Reply({"hash": m.hash, "status": status})]
    diff = differences(state.definition, m.definition)
    reason = "its definition changed"
    events: list[Any] = [ToolSeen(m.hash, m.definition, False, now, by, m.origin)]
    events.append(ToolDisabled(m.hash, reason, now, by, diff))
    return [*events, *turned_away(state, reason), Reply({"hash": m.hash, "status": status})]


def _approve(state: ToolState, m: ApproveTool, message: Message) -> list[Any]:
    by = _speaker(m.by, message)
    wanted = state.seen_hash or state.hash
    if not wanted:
        raise Refused(f"no host has had {message.to}", code="not-found")
    if m.hash != wanted:
        raise Refused(f"the definition is {wanted} by now, not {m.hash}: look at it again", code="changed")
    reply = Reply({"hash": wanted, "status": "approved"})
    if state.status == "approved":
        return [reply]
    return [ToolApproved(wanted, message.time, by, m.note), reply]


def _disable(state: ToolState, m: DisableTool, message: Message) -> list[Any]:
    by = _speaker(m.by, message)
    if state.status == "new":
        raise Refused(f"no host has had {message.to}", code="not-found")
    reply = Reply({"hash": state.hash, "status": "disabled"})
    if state.status == "disabled":
        return [reply]
    reason = m.reason or f"{by} said so"
    disabled = ToolDisabled(state.seen_hash or state.hash, reason, message.time, by)
    return [disabled, *turned_away(state, reason), reply]


def _speaker(by: str, message: Message) -> str:
    """Who says it. Raises Refused when a person speaks for another."""
    if by and is_address(message.sender):
        return by.removeprefix("user:")
    sender = message.sender.removeprefix("user:")
    if by and by.removeprefix("user:") != sender:
        raise Refused(f"{sender} cannot speak for {by.removeprefix('user:')}", code="speaker")
    return sender


# -- its use


def _use(state: ToolState, _m: UseTool, message: Message) -> list[Any]:
    definition = usable(state, message)
    return [Reply({"hash": state.hash, "definition": msgspec.to_builtins(definition)})]


_DECISIONS: Final[dict[type[Any], Callable[[ToolState, Any, Message], list[Any]]]] = {
    SeeTool: _see,
    ApproveTool: _approve,
    DisableTool: _disable,
    UseTool: _use,
    EnterTool: enter,
    LeaveTool: leave,
    RateDue: rate,
}


def query(state: ToolState, _question: DescribeTool) -> Any:
    """The pinned definition, the one that waits for approval, how they differ, and how the places stand."""
    definition = state.definition or state.seen
    if definition is None:
        raise Refused("no host has had this tool", code="not-found")
    return {
        "name": definition.name,
        "status": state.status,
        "hash": state.hash,
        "definition": msgspec.to_builtins(definition),
        "origin": state.origin,
        "reason": state.reason,
        "approved_by": state.approved_by,
        "pending": {"hash": state.seen_hash, "definition": msgspec.to_builtins(state.seen), "diff": state.diff}
        if state.seen is not None
        else None,
        "held": sorted(state.held),
        "waiting": list(state.waiting),
    }


tool = Kind(
    "tool", state=ToolState, decide=decide, evolve=evolve, query=query, questions=[DescribeTool],
    messages=[SeeTool, ApproveTool, DisableTool, UseTool, EnterTool, LeaveTool, RateDue],
    inner=[UseTool, EnterTool, LeaveTool, RateDue], events=TOOL_EVENTS,
)  # fmt: skip
