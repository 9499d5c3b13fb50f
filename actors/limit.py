"""A limit: so many units of something may be held at once. One actor counts, so it is strict; it takes turns: fair.

Whoever wants units asks with `Acquire`: the answer says `granted`, or `Granted` is told later. `Release` gives back.
Holders are grouped by `group` (a run, a workflow): groups take turns, within a group the highest priority and then the
longest wait comes first. Asking twice with the same `holder` is asking once.
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
    """Ask for units: the answer is `{granted}`; if that is false, `Granted` with this `ref` comes when they are there.

    `size` is how many units there are as far as the asker knows: it counts when nobody has said so before (1).
    """

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
    """Somebody who waits. `number` grows with every one."""

    ref: str
    group: str
    units: int
    priority: int
    asker: str
    number: int


class Limit(msgspec.Struct, omit_defaults=True):
    """`held` is units by holder, `waiting` who waits by holder, `lines` the holders by group and priority in order.

    `turn` is when each group had its last turn, or came: the one whose is the longest ago is next. A group that just
    came is last in the round, so that no stream of new groups keeps the others waiting.
    """

    size: int = 0
    used: int = 0
    held: dict[str, int] = {}
    waiting: dict[str, Wanted] = {}
    lines: dict[str, dict[str, list[str]]] = {}
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
            used = state.used - state.held.get(holder, 0)
            return [
                UnitsReleased(holder),
                *_grant(state, state.size, used, message.to, gone=holder),
                Reply({"released": 1}),
            ]
        case SetLimit(size):
            if size < 1:
                raise Refused("a limit has at least one unit", code="size")
            if size == state.size:
                return [Reply({"size": size})]
            return [LimitChanged(size), *_grant(state, size, state.used, message.to), Reply({"size": size})]
        case _:
            return []


def _acquire(state: Limit, m: Acquire, message: Message) -> list[Any]:
    size = state.size or m.size or 1
    if m.units < 1 or m.units > size:
        raise Refused(f"{m.units} units of the {size} of {message.to} can never be held", code="too-many")
    if m.holder in state.held:
        return [Reply({"granted": True})]
    if m.holder in state.waiting:
        return [Reply({"granted": False})]
    event = UnitsWanted(m.holder, m.ref, m.group, m.units, m.priority, message.sender)
    changed: list[Any] = [] if state.size else [LimitChanged(size)]
    granted = _grant(state, size, state.used, message.to, new=event)
    got = any(isinstance(out, UnitsGranted) and out.holder == m.holder for out in granted)
    told = [out for out in granted if not (isinstance(out, Tell) and out.data.ref == m.ref)] if got else granted
    return [*changed, event, *told, Reply({"granted": got})]


def _grant(
    state: Limit, size: int, used: int, address: str, *, gone: str = "", new: UnitsWanted | None = None
) -> list[Any]:
    """Grant what is free, in turn. Somebody who wants more than is free holds up those behind: else it would starve.

    A limit may have become smaller than what somebody waits for: then all of it will do.
    """
    outs: list[Any] = []
    tells: list[Any] = []
    turn = dict(state.turn)
    groups = dict.fromkeys(state.lines)
    taken = {gone}
    if new is not None:
        groups[new.group] = None
        turn.setdefault(new.group, state.number)
    number = state.number
    while used < size and groups:
        group = min(groups, key=lambda g: turn.get(g, -1))
        holder = _first(state, group, taken, new)
        if holder is None:
            del groups[group]
            continue
        wanted = new if new is not None and holder == new.holder else state.waiting[holder]
        units = min(wanted.units, size)
        if used + units > size:
            break
        used += units
        number += 1
        turn[group] = number + 1
        taken.add(holder)
        outs.append(UnitsGranted(holder))
        tells.append(Tell(wanted.asker, Granted(wanted.ref, address)))
    return [*outs, *tells]


def _first(state: Limit, group: str, taken: set[str], new: UnitsWanted | None) -> str | None:
    """Who of a group is next: the highest priority, then the longest wait."""
    lines = state.lines.get(group, {})
    best: tuple[int, str] | None = None
    for priority in sorted(lines, key=int, reverse=True):
        holder = next((h for h in lines[priority] if h not in taken), None)
        if holder is not None:
            best = int(priority), holder
            break
    if new is not None and new.group == group and new.holder not in taken and (best is None or new.priority > best[0]):
        return new.holder
    return best[1] if best is not None else None


def evolve(state: Limit, event: Any) -> Limit:
    """What an event makes of a limit."""
    match event:
        case LimitChanged(size):
            state.size = size
        case UnitsWanted(holder, ref, group, units, priority, asker):
            state.waiting[holder] = Wanted(ref, group, units, priority, asker, state.number)
            state.lines.setdefault(group, {}).setdefault(str(priority), []).append(holder)
            state.turn.setdefault(group, state.number)
            state.number += 1
        case UnitsGranted(holder):
            wanted = _leave_line(state, holder)
            assert wanted is not None
            state.held[holder] = min(wanted.units, state.size)
            state.used += state.held[holder]
            state.number += 1
            state.turn[wanted.group] = state.number
            _forget_groups(state)
        case UnitsReleased(holder):
            _leave_line(state, holder)
            state.used -= state.held.pop(holder, 0)
        case _:
            pass
    return state


def _leave_line(state: Limit, holder: str) -> Wanted | None:
    wanted = state.waiting.pop(holder, None)
    if wanted is not None:
        lines = state.lines[wanted.group]
        lines[str(wanted.priority)].remove(holder)
        if not lines[str(wanted.priority)]:
            del lines[str(wanted.priority)]
        if not lines:
            del state.lines[wanted.group]
    return wanted


def _forget_groups(state: Limit) -> None:
    """Groups that have not been seen for long begin anew: the table stays small."""
    if len(state.turn) > 1000 + len(state.lines):
        kept = sorted(state.turn.items(), key=lambda item: item[1])[-500:]
        state.turn = {g: n for g, n in state.turn.items() if g in state.lines} | dict(kept)


limit = Kind(
    "limit", state=Limit, decide=decide, evolve=evolve, messages=[Acquire, Release, SetLimit], events=LIMIT_EVENTS
)
