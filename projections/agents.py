"""Agents: one row per agent with the state of its life, one per version; turns that go on or wait."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from events.agents import AGENT_EVENTS, AgentMoved, AgentPublished, AgentTurnAdmitted, AgentTurnQueued, AgentTurnStuck
from events.envelope import Event
from projections.core.definition import Projection, Ref, Row, Table
from projections.core.rows import Rows
from projections.runs import plain
from projections.timeline import text

AGENTS: Final = Table(
    "agents",
    {
        "tenant": str,
        "agent": str,
        "state": str,
        "version": int,
        "current": int,
        "hash": str,
        "description": str,
        "models": list,
        "tools": list,
        "scripted": bool,
        "active": int,
        "queued": int,
        "turns": int,
        "replied": int,
        "stuck": int,
        "trigger": str | None,
        "reason": str | None,
        "moved_at": int | None,
        "moved_by": str | None,
        "published_at": int,
        "published_by": str,
        "turn_at": int | None,
        "position": int,
    },
    key=("tenant", "agent"),
)
"""`version` is the newest, `current` the one that turns are taken by. `turns` have ended, of which `replied` with an
answer; `active` go on and `queued` wait now; `stuck` made no progress, ever. `trigger`, `reason`: of the last move."""

VERSIONS: Final = Table(
    "agent_versions",
    {
        "tenant": str,
        "agent": str,
        "version": int,
        "hash": str,
        "source": str,
        "definition": dict,
        "published_at": int,
        "by": str,
    },
    key=("tenant", "agent", "version"),
)
"""`source` is the file as it was written."""

TURNS: Final = Table(
    "agent_turns",
    {"tenant": str, "agent": str, "conversation": str, "turn": int, "version": int, "state": str, "since": int},
    key=("tenant", "agent", "conversation"),
)
"""Turns that go on (`active`) or wait (`queued`) now; `version` is 0 while they wait."""


class _Definition(msgspec.Struct, frozen=True):
    """As much of a definition as is shown in lists."""

    description: str = ""
    models: list[str] = []
    tools: list[str] = []
    scripted: bool = False


_decode = msgspec.json.Decoder(_Definition).decode


def keys(event: Event, data: Any) -> list[Ref]:
    """The agent, and the turn it is about."""
    name = event.stream.partition("/")[2]
    found: list[Ref] = [(AGENTS, (event.tenant, name))]
    if not isinstance(data, AgentPublished | AgentMoved):
        found.append((TURNS, (event.tenant, name, data.conversation)))
    return found


def apply(rows: Rows, event: Event, data: Any) -> None:
    """What the event makes of the agent."""
    name = event.stream.partition("/")[2]
    row = rows.get(AGENTS, event.tenant, name)
    if isinstance(data, AgentPublished):
        row = _published(rows, event, name, row, data)
    if row is None:
        return
    match data:
        case AgentPublished():
            pass
        case AgentMoved():
            row.update(
                state="ready" if data.target == "busy" else data.target,
                current=data.version or row["current"],
                trigger=text(data.trigger),
                reason=text(data.reason) or None,
                moved_at=data.at,
                moved_by=text(data.by) or None,
            )
        case AgentTurnStuck():
            row["stuck"] += 1
        case _:
            _turn(rows, event, name, row, data)
    if row["state"] in ("ready", "busy"):
        row["state"] = "busy" if row["active"] else "ready"
    row["position"] = event.position
    rows.put(AGENTS, row)


def _turn(rows: Rows, event: Event, name: str, row: Row, data: Any) -> None:
    """A turn begins, waits or ends."""
    before = rows.get(TURNS, event.tenant, name, data.conversation)
    if isinstance(data, AgentTurnAdmitted | AgentTurnQueued):
        if before is not None:
            row[before["state"]] -= 1
        admitted = isinstance(data, AgentTurnAdmitted)
        state = "active" if admitted else "queued"
        row[state] += 1
        version = data.version if isinstance(data, AgentTurnAdmitted) else 0
        turn: Row = {"tenant": event.tenant, "agent": name, "conversation": data.conversation}
        rows.put(TURNS, {**turn, "turn": data.turn, "version": version, "state": state, "since": data.at})
        return
    if before is None or before["turn"] != data.turn:
        return
    rows.delete(TURNS, event.tenant, name, data.conversation)
    row[before["state"]] -= 1
    if before["state"] == "active":
        row.update(turns=row["turns"] + 1, replied=row["replied"] + (data.status == "replied"), turn_at=data.at)


def _published(rows: Rows, event: Event, name: str, row: Row | None, data: AgentPublished) -> Row:
    shown = _decode(data.definition)
    version: Row = {"tenant": event.tenant, "agent": name, "version": data.version, "hash": data.hash}
    version |= {"source": data.source.replace("\0", ""), "definition": plain(msgspec.json.decode(data.definition))}
    rows.insert(VERSIONS, {**version, "published_at": data.at, "by": text(data.by)})
    return {
        **(row or _new(event, name)),
        "version": data.version,
        "hash": data.hash,
        "description": text(shown.description),
        "models": plain(shown.models),
        "tools": plain(shown.tools),
        "scripted": shown.scripted,
        "published_at": data.at,
        "published_by": text(data.by),
    }


def _new(event: Event, name: str) -> Row:
    return {
        "tenant": event.tenant,
        "agent": name,
        "state": "defined",
        "version": 0,
        "current": 0,
        "hash": "",
        "description": "",
        "models": [],
        "tools": [],
        "scripted": False,
        "active": 0,
        "queued": 0,
        "turns": 0,
        "replied": 0,
        "stuck": 0,
        "trigger": None,
        "reason": None,
        "moved_at": None,
        "moved_by": None,
        "published_at": 0,
        "published_by": "",
        "turn_at": None,
        "position": event.position,
    }


PROJECTION = Projection(
    "agents",
    version=1,
    tables=[AGENTS, VERSIONS, TURNS],
    types=AGENT_EVENTS,
    keys=keys,
    apply=apply,
    reads=("tenant", "stream"),
)
