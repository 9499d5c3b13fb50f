"""A limit: so many units of something may be held at once. One actor counts, so it is strict; it takes turns: fair.

Whoever wants units asks with `Acquire` and is told `Granted`, at once or later; `Release` gives them back. Holders are
grouped by `group` (a run, a workflow): groups take turns, within a group the highest priority and then the longest
wait comes first. Asking twice with the same `holder` is asking once.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.core.kind import Kind
from actors.core.outputs import Reply, Tell
from events.envelope import Message
from events.errors import Refused
from events.limits import LIMIT_EVENTS, LimitChanged, UnitsGranted, UnitsReleased, UnitsWanted


class Acquire(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ask for units; `Granted` with this `ref` comes when they are there. `size` is the limit as the asker knows it."""

    holder: str
    ref: str
    group: str
    units: int = 1
    priority: int = 5
    size: int | None = None


class Release(msgspec.Struct, frozen=True):
    """Give back what `holder` holds, or stop waiting for it."""

    holder: str


class SetLimit(msgspec.Struct, frozen=True):
    """How many units there are. Units held beyond it are not taken away."""

    size: int


class Granted(msgspec.Struct, frozen=True):
    """Told to whoever asked: the units are held now."""

    ref: str
    limit: str


class Wanted(msgspec.Struct, frozen=True):
    """Somebody who waits."""

    holder: str
    ref: str
    group: str
    units: int
    priority: int
    asker: str
    number: int


class Limit(msgspec.Struct):
    """`held` is units by holder; `turn` counts what each group was granted last, so that the least recent is next."""

    size: int = 1
    used: int = 0
    held: dict[str, int] = {}
    waiting: dict[str, Wanted] = {}
    turn: dict[str, int] = {}
    number: int = 0


def decide(state: Limit, message: Message) -> list[Any]:
    """What a limit makes of a message."""
    match message.data:
        case Acquire() as m:
            return _acquire(state, m, message)
        case Release(holder):
            if holder not in state.held and holder not in state.waiting:
                return [Reply({"released": 0})]
            free = state.size - state.used + state.held.get(holder, 0)
            rest = {h: w for h, w in state.waiting.items() if h != holder}
            return [UnitsReleased(holder), *_grant(state, rest, free, message.to), Reply({"released": 1})]
        case SetLimit(size):
            if size < 1:
                raise Refused("a limit has at least one unit", code="size")
            return [
                LimitChanged(size),
                *_grant(state, state.waiting, size - state.used, message.to),
                Reply({"size": size}),
            ]
        case _:
            return []


def _acquire(state: Limit, m: Acquire, message: Message) -> list[Any]:
    size = m.size or state.size
    if m.units > size:
        raise Refused(f"{m.units} units of {size} can never be held", code="too-many")
    changed: list[Any] = [LimitChanged(size)] if size != state.size else []
    if m.holder in state.held:
        return [*changed, Tell(message.sender, Granted(m.ref, message.to)), Reply({"granted": True})]
    if m.holder in state.waiting:
        return [*changed, Reply({"granted": False})]
    wanted = Wanted(m.holder, m.ref, m.group, m.units, m.priority, message.sender, state.number)
    event = UnitsWanted(m.holder, m.ref, m.group, m.units, m.priority, message.sender)
    granted = _grant(state, {**state.waiting, m.holder: wanted}, size - state.used, message.to)
    return [*changed, event, *granted, Reply({"granted": bool(granted)})]


def _grant(state: Limit, waiting: dict[str, Wanted], free: int, address: str) -> list[Any]:
    """Grant what is free, in turn. Somebody who wants more than is free holds up those behind: else it would starve."""
    outs: list[Any] = []
    tells: list[Any] = []
    left = dict(waiting)
    turn = dict(state.turn)
    count = state.number
    while left and free > 0:
        first = min(left.values(), key=lambda w: (turn.get(w.group, -1), -w.priority, w.number))
        if first.units > free:
            break
        free -= first.units
        count += 1
        turn[first.group] = count
        del left[first.holder]
        outs.append(UnitsGranted(first.holder))
        tells.append(Tell(first.asker, Granted(first.ref, address)))
    return [*outs, *tells]


def evolve(state: Limit, event: Any) -> Limit:
    """What an event makes of a limit."""
    match event:
        case LimitChanged(size):
            state.size = size
        case UnitsWanted(holder, ref, group, units, priority, asker):
            state.waiting[holder] = Wanted(holder, ref, group, units, priority, asker, state.number)
            state.number += 1
        case UnitsGranted(holder):
            wanted = state.waiting.pop(holder)
            state.held[holder] = wanted.units
            state.used += wanted.units
            state.number += 1
            state.turn[wanted.group] = state.number
            _forget_groups(state)
        case UnitsReleased(holder):
            state.waiting.pop(holder, None)
            state.used -= state.held.pop(holder, 0)
            _forget_groups(state)
        case _:
            pass
    return state


def _forget_groups(state: Limit) -> None:
    """Groups that have not been seen for long begin anew: the table stays small."""
    if len(state.turn) > 1000:
        waiting = {w.group for w in state.waiting.values()}
        kept = sorted(state.turn.items(), key=lambda item: item[1])[-500:]
        state.turn = {g: n for g, n in state.turn.items() if g in waiting} | dict(kept)


limit = Kind(
    "limit", state=Limit, decide=decide, evolve=evolve, messages=[Acquire, Release, SetLimit], events=LIMIT_EVENTS
)
