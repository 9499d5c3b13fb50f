"""The life of an agent: which state a trigger leads to. A machine of `transitions`, used as a table: it keeps nothing.

| from | trigger | to |
|---|---|---|
| defined, stopped, failed | start | starting |
| starting | started · fail | ready · failed |
| ready ↔ busy | take, rest | a turn begins, the last one ends |
| ready, busy, draining | reload · reject | the same: a new version is used, or not |
| ready, busy | drain | draining: turns under way and in line are taken, no more |
| draining | take, rest · drained | draining · stopped |
| starting, ready, busy, draining, quarantined | stop | stopped: turns under way end, those in line are refused |
| starting, ready, busy, draining | quarantine | quarantined |
| quarantined | release | starting |
"""

from __future__ import annotations

from typing import Any, Final

from transitions import Machine

from events.errors import Refused

STATES: Final = ("defined", "starting", "ready", "busy", "draining", "stopped", "failed", "quarantined")

OPERATED: Final = ("start", "drain", "stop", "quarantine", "release")
"""What people may ask for; the other triggers come by themselves."""

TAKING: Final = frozenset(("ready", "busy"))
"""Where new turns are let in."""

_SAME: Final = ("ready", "busy", "draining")
_TABLE: Final[list[tuple[str, tuple[str, ...], str]]] = [
    ("start", ("defined", "stopped", "failed"), "starting"),
    ("started", ("starting",), "ready"),
    ("fail", ("starting",), "failed"),
    ("take", ("ready", "busy"), "busy"),
    ("take", ("draining",), "draining"),
    ("rest", ("busy",), "ready"),
    ("rest", ("draining",), "draining"),
    ("reload", _SAME, "="),
    ("reject", _SAME, "="),
    ("drain", ("ready", "busy"), "draining"),
    ("drained", ("draining",), "stopped"),
    ("stop", ("starting", "ready", "busy", "draining", "quarantined"), "stopped"),
    ("quarantine", ("starting", "ready", "busy", "draining"), "quarantined"),
    ("release", ("quarantined",), "starting"),
]  # fmt: skip


def _machine() -> Machine:
    machine: Any = Machine(model=None, states=list(STATES), initial="defined", auto_transitions=False)
    for trigger, sources, target in _TABLE:
        machine.add_transition(trigger, list(sources), target)
    return machine


MACHINE: Final = _machine()
"""Without a model: it has no state."""


def _table(machine: Any) -> dict[tuple[str, str], str]:
    return {
        (transition.source, trigger): transition.dest
        for trigger in machine.events
        for transition in machine.get_transitions(trigger)
    }


_NEXT: Final = _table(MACHINE)
TRIGGERS: Final = tuple(dict.fromkeys(trigger for trigger, _, _ in _TABLE))


def legal(state: str) -> list[str]:
    """The triggers that lead somewhere from a state."""
    return [trigger for trigger in TRIGGERS if (state, trigger) in _NEXT]


def moved(state: str, trigger: str) -> str:
    """The state that a trigger leads to. Raises Refused (illegal), saying what is legal."""
    target = _NEXT.get((state, trigger))
    if target is None:
        able = [t for t in legal(state) if t in OPERATED]
        what = f"legal: {', '.join(able)}" if able else "nothing is legal but to wait"
        raise Refused(f"{trigger} is not possible for an agent that is {state}; {what}", code="illegal")
    return target
