"""What became of each turn of a conversation: rows of the read model `conversations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from events import conversations as ev
from events.envelope import Event
from projections.core.definition import Row, Table
from projections.runs import plain
from projections.sums import minus, plus
from projections.timeline import place, text

TURNS: Final = Table(
    "turns",
    {
        "tenant": str,
        "conversation": str,
        "turn": int,
        "agent": str,
        "version": int,
        "hash": str,
        "status": str,
        "messages": list,
        "cause": str,
        "started_at": int,
        "admitted_at": int | None,
        "ended_at": int | None,
        "duration": int | None,
        "steps": int,
        "model_calls": int,
        "tool_calls": int,
        "input": int,
        "output": int,
        "usd": str,
        "unknown": int,
        "estimated": str,
        "lost": dict,
        "waiting_for": list,
        "reply": str,
        "code": str | None,
        "reason": str | None,
        "position": int,
    },
    key=("tenant", "conversation", "turn"),
    indexes=[("tenant", "started_at"), ("agent", "tenant", "started_at"), ("status", "tenant", "started_at")],
)
"""`status` is queued (at the agent), running, waiting, stuck, or how it ended: replied, failed, interrupted, cancelled.
`waiting_for` has `{model}` or `{tool, call, approval}`; `lost` the estimates of lost calls; `duration` is in µs; costs
as in `conversations`."""

SHOWN: Final = 200
"""Characters of a message or a reply that are shown in lists."""

ENDED: Final = ("replied", "failed", "interrupted", "cancelled")


def short(value: str) -> str:
    """The beginning of a text, in one line."""
    return text(" ".join(value.split()))[:SHOWN]


def started(event: Event, row: Row, e: ev.TurnStarted) -> Row:
    """The row of a turn that begins."""
    return {
        "tenant": event.tenant,
        "conversation": row["conversation"],
        "turn": e.turn,
        "agent": row["agent"],
        "version": 0,
        "hash": "",
        "status": "queued",
        "messages": plain(e.messages),
        "cause": place(text(e.cause or event.correlation)),
        "started_at": e.at,
        "admitted_at": None,
        "ended_at": None,
        "duration": None,
        "steps": 0,
        "model_calls": 0,
        "tool_calls": 0,
        "input": 0,
        "output": 0,
        "usd": "0",
        "unknown": 0,
        "estimated": "0",
        "lost": {},
        "waiting_for": [],
        "reply": "",
        "code": None,
        "reason": None,
        "position": event.position,
    }


def _began(row: Row, _turn: Row, data: ev.TurnStarted) -> None:
    row["turn"] = data.turn


def _admitted(_row: Row, turn: Row, data: ev.TurnAdmitted) -> None:
    turn.update(status="running", admitted_at=data.at, version=data.version, hash=text(data.hash), waiting_for=[])


def _asked(_row: Row, turn: Row, data: ev.ModelAsked) -> None:
    turn["steps"] = max(turn["steps"], data.step)
    turn["waiting_for"] = [*_without_model(turn), {"model": text(data.models[0]) if data.models else ""}]
    _goes_on(turn)


def _without_model(turn: Row) -> list[Any]:
    return [waited for waited in turn["waiting_for"] if "model" not in waited]


def _answered(row: Row, turn: Row, data: ev.ModelAnswered) -> None:
    usage = data.answer.usage
    estimate = turn["lost"].get(_call(data))
    for counted in (row, turn):
        counted["model_calls"] += estimate is None
        counted["input"] += usage.input
        counted["output"] += usage.output
        if estimate is not None:
            counted["estimated"] = minus(counted["estimated"], estimate)
        if data.cost is None:
            counted["unknown"] += 1
        else:
            counted["usd"] = plus(counted["usd"], data.cost)
    turn["lost"] = {call: usd for call, usd in turn["lost"].items() if call != _call(data)}
    if not data.late:
        turn["waiting_for"] = _without_model(turn)
        _goes_on(turn)


def _call(data: Any) -> str:
    return place(f"{text(data.call)}#{data.attempt}")


def _failed(row: Row, turn: Row, _data: ev.ModelFailed) -> None:
    for counted in (row, turn):
        counted["model_calls"] += 1
    turn["waiting_for"] = _without_model(turn)


def _lost(row: Row, turn: Row, data: ev.ModelLost) -> None:
    for counted in (row, turn):
        counted["model_calls"] += 1
        counted["estimated"] = plus(counted["estimated"], data.estimate)
    turn["lost"] = {**turn["lost"], _call(data): data.estimate}
    turn["waiting_for"] = _without_model(turn)


def _tool_asked(row: Row, turn: Row, data: ev.ToolAsked) -> None:
    for counted in (row, turn):
        counted["tool_calls"] += 1
    turn["waiting_for"] = [*turn["waiting_for"], {"tool": text(data.tool)[:SHOWN], "call": text(data.call)}]


def _tool_waits(_row: Row, turn: Row, data: ev.ToolWaits) -> None:
    turn["waiting_for"] = [
        {**waited, "approval": text(data.approval)} if waited.get("call") == data.call else waited
        for waited in turn["waiting_for"]
    ]
    _goes_on(turn)


def _tool_answered(_row: Row, turn: Row, data: ev.ToolAnswered) -> None:
    turn["waiting_for"] = [waited for waited in turn["waiting_for"] if waited.get("call") != data.call]
    _goes_on(turn)


def _goes_on(turn: Row) -> None:
    """It made progress, and may still wait for people."""
    if turn["status"] not in ENDED:
        turn["status"] = "waiting" if any("approval" in waited for waited in turn["waiting_for"]) else "running"


def _stuck(_row: Row, turn: Row, _data: ev.TurnStuck) -> None:
    if turn["status"] not in ENDED:
        turn["status"] = "stuck"


def _replied(_row: Row, turn: Row, data: ev.TurnReplied) -> None:
    turn["reply"] = short(data.text)


def _over(row: Row, turn: Row, data: ev.TurnEnded) -> None:
    row["turns"] += turn["ended_at"] is None
    turn.update(
        status=data.status if data.status in ENDED else "failed",
        ended_at=data.at,
        duration=max(0, data.at - turn["started_at"]),
        waiting_for=[],
        code=text(data.code) or None,
        reason=text(data.reason) or None,
    )


FOLDS: Final[Mapping[type[Any], Callable[[Row, Row, Any], None]]] = {
    ev.TurnStarted: _began,
    ev.TurnAdmitted: _admitted,
    ev.ModelAsked: _asked,
    ev.ModelAnswered: _answered,
    ev.ModelFailed: _failed,
    ev.ModelLost: _lost,
    ev.ToolAsked: _tool_asked,
    ev.ToolWaits: _tool_waits,
    ev.ToolAnswered: _tool_answered,
    ev.TurnStuck: _stuck,
    ev.TurnReplied: _replied,
    ev.TurnEnded: _over,
}
"""What an event makes of the rows of its conversation and its turn."""
