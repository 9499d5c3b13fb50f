"""What model calls cost: one row per call with its usage and its price, and exact sums by whatever people ask for.

An unknown cost is counted, never taken for 0: a sum is `usd` of the known ones and how many are `unknown`. A call that
was lost counts apart, at its `estimated` cost, until its answer comes late after all. Calls of what-ifs count with the
conversation they are about, and say so by their `purpose`. The `cause` is the correlation of what started it all, the
same that budgets of a cause are named by: of an agent that a step of a run asks, what started the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from events.conversations import ConversationOpened, ModelAnswered, ModelFailed, ModelLost, TurnStarted
from events.envelope import Event
from events.models import Price, Usage
from events.pricing import priced
from events.whatif import WhatIfAnswered, WhatIfBegun, WhatIfFailed, WhatIfLost
from projections.core.definition import Projection, Ref, Row, Table
from projections.core.rows import Rows
from projections.runs import plain
from projections.sums import plus
from projections.timeline import place, text

COSTS: Final = Table(
    "costs",
    {
        "tenant": str,
        "source": str,
        "conversation": str,
        "call": str,
        "attempt": int,
        "agent": str,
        "channel": str,
        "turn": int,
        "step": int,
        "cause": str,
        "tool": str,
        "purpose": str,
        "model": str,
        "status": str,
        "day": str,
        "at": int,
        "input": int,
        "output": int,
        "cache_read": int,
        "cache_write": int,
        "reasoning": int,
        "usage": dict,
        "usd": str | None,
        "estimate": str | None,
        "price": dict | None,
        "why": str | None,
        "duration": int | None,
        "first": int | None,
        "tries": int,
        "position": int,
    },
    key=("tenant", "source", "call", "attempt"),
    indexes=[
        ("at", "tenant"),
        ("agent", "tenant", "at"),
        ("conversation", "tenant"),
        ("cause", "tenant"),
        ("model", "tenant", "at"),
    ],
)
"""`source` is the stream the call was made in: that of the conversation, or of a what-if. `tool` is the tool that the
agent was for another one, "" when it was none; `purpose` is turn, summary (of old turns) or what-if.

`status` is answered, failed (nothing was used as far as anybody knows) or lost. `usd` is an exact decimal, None when
unknown; `estimate` is what counts for a lost call. `price` is the row it was computed with, `day` is of UTC; `duration`
and `first` (piece) in µs from the start."""

ORIGINS: Final = Table(
    "cost_origins",
    {
        "tenant": str,
        "source": str,
        "conversation": str,
        "agent": str,
        "channel": str,
        "tool": str,
        "turn": int,
        "cause": str,
    },
    key=("tenant", "source"),
)
"""Whose calls those of a stream are: the conversation, its agent, and what started the turn under way."""

CALL: Final = "call:"
"""What channels begin with through which an agent is a tool; its name follows."""

PURPOSES: Final = ("turn", "summary", "what-if")

GROUPINGS: Final = ("step", "turn", "agent", "conversation", "cause", "model", "tenant", "day", "tool", "purpose")
"""What costs are summed by. A turn is one of a conversation, a step one of a turn."""

COUNTS: Final = ("input", "output", "cache_read", "cache_write", "reasoning")


def keys(event: Event, data: Any) -> list[Ref]:
    """The stream, and the call."""
    origin: Ref = (ORIGINS, (event.tenant, event.stream))
    if isinstance(data, ConversationOpened | TurnStarted | WhatIfBegun):
        return [origin]
    return [origin, (COSTS, (event.tenant, event.stream, place(data.call), data.attempt))]


def apply(rows: Rows, event: Event, data: Any) -> None:
    """Remember whose calls come; write down what one cost."""
    origin = rows.get(ORIGINS, event.tenant, event.stream)
    match data:
        case ConversationOpened():
            rows.put(ORIGINS, _origin(event, event.stream.partition("/")[2], data.agent, data.channel))
        case WhatIfBegun():
            rows.put(ORIGINS, _origin(event, data.conversation, data.agent, ""))
        case _ if origin is None:
            return
        case TurnStarted():
            rows.put(ORIGINS, {**origin, "turn": data.turn, "cause": place(text(data.cause or event.correlation))})
        case _:
            rows.put(COSTS, _call(event, origin, data))


def _origin(event: Event, conversation: str, agent: str, channel: str) -> Row:
    tool = channel.removeprefix(CALL) if channel.startswith(CALL) else ""
    return {
        "tenant": event.tenant, "source": event.stream, "conversation": place(text(conversation)), "agent": text(agent),
        "channel": text(channel), "tool": text(tool), "turn": 0, "cause": "",
    }  # fmt: skip


def _purpose(data: Any) -> str:
    if isinstance(data, WhatIfAnswered | WhatIfFailed | WhatIfLost):
        return "what-if"
    return "turn" if data.step else "summary"


def _call(event: Event, origin: Row, data: Any) -> Row:
    found: Row = {
        "tenant": event.tenant,
        "source": event.stream,
        "conversation": origin["conversation"],
        "call": place(data.call),
        "attempt": data.attempt,
        "agent": origin["agent"],
        "channel": origin["channel"],
        "turn": data.turn,
        "step": data.step,
        "cause": origin["cause"] if data.turn == origin["turn"] else place(text(event.correlation)),
        "tool": origin["tool"],
        "purpose": _purpose(data),
        "model": "",
        "status": "failed",
        "day": day_of(data.at),
        "at": data.at,
        **dict.fromkeys(COUNTS, 0),
        "usage": {},
        "usd": None,
        "estimate": None,
        "price": None,
        "why": None,
        "duration": None,
        "first": None,
        "tries": len(getattr(data, "tries", ())),
        "position": event.position,
    }
    match data:
        case ModelAnswered():
            usage = data.answer.usage
            found |= {name: getattr(usage, name) for name in COUNTS}
            found |= {"model": text(data.model), "status": "answered", "usage": plain(usage), "usd": data.cost}
            found |= {"price": None if data.price is None else plain(data.price), "why": text(data.why) or None}
            if data.started:
                found["duration"] = max(0, data.at - data.started)
                found["first"] = max(0, data.first - data.started) if data.first else None
        case ModelLost():
            found |= {"status": "lost", "estimate": data.estimate, "why": text(data.reason) or None}
        case ModelFailed():
            found |= {"model": text(data.tries[-1].model) if data.tries else "", "why": text(data.failure.kind)}
        case _:
            pass
    return found


def day_of(at: int) -> str:
    """The day (UTC) of a time in µs."""
    return datetime.fromtimestamp(at // 1_000_000, UTC).strftime("%Y-%m-%d")


# -- sums

_WITHIN: Final[Mapping[str, tuple[str, ...]]] = {
    "turn": ("conversation", "turn"),
    "step": ("conversation", "turn", "step"),
}


def summed(rows: Iterable[Row], by: Sequence[str] = ()) -> list[Row]:
    """Sums of rows of `costs` by any of GROUPINGS, the most expensive first; without any, one sum of all.

    Each has `calls`, `usd` (exact, of those that are known), `unknown` (answered, at a cost nobody knows), `estimated`
    and `lost`, `failed`, and tokens. Over any grouping they add up to the sum of all. Raises KeyError for another name.
    """
    columns = list(dict.fromkeys(column for name in by for column in _columns(name)))
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        group = tuple(row[column] for column in columns)
        sums = found.get(group)
        if sums is None:
            sums = found[group] = {**dict(zip(columns, group, strict=True)), **_nothing()}
        _add(sums, row)
    if not columns and not found:
        return [_nothing()]
    return sorted(found.values(), key=lambda s: (-Decimal(s["usd"]), *(str(s[c]) for c in columns)))


def _columns(name: str) -> tuple[str, ...]:
    if name not in GROUPINGS:
        raise KeyError(name)
    return _WITHIN.get(name, (name,))


def _nothing() -> Row:
    return {"calls": 0, "usd": "0", "unknown": 0, "estimated": "0", "lost": 0, "failed": 0, **dict.fromkeys(COUNTS, 0)}


def _add(sums: Row, row: Row) -> None:
    sums["calls"] += 1
    for name in COUNTS:
        sums[name] += row[name]
    if row["status"] == "lost":
        sums.update(lost=sums["lost"] + 1, estimated=plus(sums["estimated"], row["estimate"] or "0"))
    elif row["status"] == "failed":
        sums["failed"] += 1
    elif row["usd"] is None:
        sums["unknown"] += 1
    else:
        sums["usd"] = plus(sums["usd"], row["usd"])


Rates = Callable[[Row], Price | None]
"""The price row for a row of `costs`: by its model, and its time. None when there is none."""


def repriced(rows: Iterable[Row], rates: Rates) -> list[Row]:
    """The same rows with what they would cost by other prices, from the usage that was recorded. Nothing is stored."""
    found: list[Row] = []
    for row in rows:
        if row["status"] != "answered":
            found.append(row)
            continue
        price = rates(row)
        if price is None:
            found.append({**row, "usd": None, "price": None, "why": f"there is no price of {row['model']}"})
            continue
        cost = priced(msgspec.convert(row["usage"], Usage), price)
        found.append({**row, "usd": cost.usd, "price": plain(price), "why": cost.why or None})
    return found


PROJECTION = Projection(
    "costs",
    version=2,
    tables=[COSTS, ORIGINS],
    types=[
        ConversationOpened,
        TurnStarted,
        ModelAnswered,
        ModelLost,
        ModelFailed,
        WhatIfBegun,
        WhatIfAnswered,
        WhatIfLost,
        WhatIfFailed,
    ],
    keys=keys,
    apply=apply,
    reads=("tenant", "stream", "correlation"),
)
