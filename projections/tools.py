"""Tools and their calls: what is pinned and who agreed to it; which gate each call came to, and what came of it."""

from __future__ import annotations

from typing import Any, Final

from events.envelope import Event
from events.tools import (
    CALL_EVENTS,
    TOOL_EVENTS,
    CallAdmitted,
    CallAnswered,
    CallApprovalAsked,
    CallApproved,
    CallBegun,
    CallEnded,
    CallJudged,
    CallLabelled,
    CallPinned,
    CallRequested,
    ToolApproved,
    ToolDisabled,
    ToolSeen,
    tool_address,
)
from projections.core.definition import Projection, Ref, Row, Table
from projections.core.rows import Rows
from projections.runs import plain
from projections.timeline import text

TOOLS: Final = Table(
    "tools",
    {
        "tenant": str,
        "tool": str,
        "status": str,
        "hash": str,
        "pending": str | None,
        "risk": str,
        "effect_class": str,
        "via": str,
        "origin": str,
        "description": str,
        "definition": dict,
        "pending_definition": dict | None,
        "reason": str | None,
        "diff": list,
        "seen_at": int,
        "approved_at": int | None,
        "approved_by": str | None,
        "calls": int,
    },
    key=("tenant", "tool"),
    indexes=[("status", "tenant", "tool")],
)
"""`status` is approved, waiting, changed or disabled. `hash` and `definition` are what is pinned (of one that waits for
its first approval: what was seen), `pending` is what waits for approval, `diff` how it differs,
`calls` how many were asked for."""

CALLS: Final = Table(
    "calls",
    {
        "tenant": str,
        "call": str,
        "tool": str,
        "status": str,
        "stage": str,
        "code": str,
        "agent": str,
        "conversation": str,
        "turn": int,
        "requesters": list,
        "arguments": dict,
        "labels": dict,
        "hash": str,
        "risk": str,
        "effect_class": str,
        "decision": str,
        "rule": str,
        "why": str,
        "policy": str,
        "approval": str | None,
        "approved_by": list,
        "sandbox": str,
        "text": str,
        "requested_at": int,
        "begun_at": int | None,
        "ended_at": int | None,
        "waited": float,
    },
    key=("tenant", "call"),
    indexes=[("tenant", "requested_at"), ("tool", "tenant"), ("status", "tenant"), ("conversation", "tenant")],
)
"""`status` is requested, pinned, judged, asked, approved, begun, answered, or how it ended. `policy` is its name and
version, `text` (cut) what the asker was told, `waited` seconds for a place. The whole result is in the log."""

CUT: Final = 4_000
"""Characters of a text."""


def keys(event: Event, data: Any) -> list[Ref]:
    """The tool, or the call."""
    kind, _, name = event.stream.partition("/")
    if kind == "tool":
        return [(TOOLS, (event.tenant, name))]
    call: list[Ref] = [(CALLS, (event.tenant, name))]
    return [*call, (TOOLS, (event.tenant, _of(data)))] if isinstance(data, CallRequested) else call


def _of(e: CallRequested) -> str:
    return tool_address(e.tool).partition("/")[2]


def apply(rows: Rows, event: Event, data: Any) -> None:
    """What the event makes of it."""
    kind, _, name = event.stream.partition("/")
    if kind == "tool":
        _tool(rows, event, name, data)
        return
    if isinstance(data, CallRequested):
        rows.put(CALLS, _requested(event, name, data))
        tool = rows.get(TOOLS, event.tenant, _of(data))
        if tool is not None:
            tool["calls"] += 1
            rows.put(TOOLS, tool)
        return
    row = rows.get(CALLS, event.tenant, name)
    if row is not None and _call(row, data):
        rows.put(CALLS, row)


def _tool(rows: Rows, event: Event, name: str, data: Any) -> None:
    row = rows.get(TOOLS, event.tenant, name)
    match data:
        case ToolSeen():
            rows.put(TOOLS, _seen(event, name, row, data))
            return
        case ToolApproved() if row is not None:
            if row["pending"]:
                row.update(_described(row["pending_definition"]), hash=row["pending"])
            row.update(status="approved", pending=None, pending_definition=None, reason=None, diff=[])
            row.update(approved_at=data.at, approved_by=text(data.by))
        case ToolDisabled() if row is not None:
            changed = bool(data.diff) and row["status"] != "disabled"
            row.update(status="changed" if changed else "disabled", reason=text(data.reason))
            row["diff"] = plain(data.diff) or row["diff"]
        case _:
            return
    rows.put(TOOLS, row)


def _seen(event: Event, name: str, row: Row | None, e: ToolSeen) -> Row:
    definition = plain(e.definition)
    first = row is None
    if row is None:
        row = {
            "tenant": event.tenant, "tool": name, "status": "waiting", "hash": e.hash, "pending": None,
            "pending_definition": None, "origin": text(e.origin), "reason": None, "diff": [], "seen_at": e.at,
            "approved_at": None, "approved_by": None, "calls": 0, **_described(definition),
        }  # fmt: skip
    row.update(origin=text(e.origin), seen_at=e.at)
    if e.approved:
        row.update(_described(definition), hash=e.hash, pending=None, pending_definition=None)
        if row["status"] != "disabled":
            row.update(status="approved", reason=None, diff=[], approved_at=row["approved_at"] or e.at)
        return row
    row.update(pending=e.hash, pending_definition=definition)
    if first or row["status"] == "waiting":
        row.update(_described(definition), hash=e.hash)
    return row


def _described(definition: dict[str, Any]) -> Row:
    return {
        "definition": definition, "risk": definition["risk"], "effect_class": definition["effect_class"],
        "via": definition.get("via", "function"), "description": text(definition["description"])[:CUT],
    }  # fmt: skip


def _requested(event: Event, name: str, e: CallRequested) -> Row:
    return {
        "tenant": event.tenant, "call": name, "tool": text(e.tool), "status": "requested", "stage": "", "code": "",
        "agent": text(e.agent), "conversation": text(e.conversation), "turn": e.turn,
        "requesters": plain(e.requesters), "arguments": {}, "labels": {}, "hash": "", "risk": "", "effect_class": "",
        "decision": "", "rule": "", "why": "", "policy": "", "approval": None, "approved_by": [], "sandbox": "",
        "text": "", "requested_at": e.at, "begun_at": None, "ended_at": None, "waited": 0.0,
    }  # fmt: skip


def _call(row: Row, data: Any) -> bool:
    """Whether the event changes the row."""
    match data:
        case CallPinned():
            row.update(status="pinned", hash=data.hash, arguments=plain(data.arguments), risk=data.definition.risk)
            row["effect_class"] = data.definition.effect_class
        case CallLabelled():
            row["labels"] = plain(data.labels)
        case CallJudged():
            row.update(status="judged", decision=data.decision, rule=data.rule, why=text(data.why))
            row.update(policy=f"{data.policy} {data.version}", sandbox=data.sandbox)
        case CallApprovalAsked():
            row.update(status="asked", approval=data.approval.partition("/")[2])
        case CallApproved():
            row.update(status="approved", approved_by=plain(data.by))
        case CallAdmitted():
            row["waited"] = float(data.waited)
        case CallBegun():
            row.update(status="begun", begun_at=data.at)
        case CallAnswered():
            row.update(status="answered", sandbox=text(data.sandbox) or row["sandbox"])
        case CallEnded():
            row.update(status=data.status, stage=data.stage, code=data.code, ended_at=data.at)
            row["text"] = text(data.text)[:CUT]
        case _:
            return False
    return True


PROJECTION = Projection(
    "tools",
    version=1,
    tables=[TOOLS, CALLS],
    types=(*TOOL_EVENTS, *CALL_EVENTS),
    keys=keys,
    apply=apply,
    reads=("tenant", "stream"),
)
