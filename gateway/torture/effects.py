"""Checks of calls to the world: what the log says of them is held against what the world saw."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from events.envelope import Event
from gateway.proof import Check
from gateway.torture.figures import DOUBLED, LOST, REPEATED
from gateway.torture.outside import Call, Calls

ONCE = ("irreversible", "reconciled")
"""Kinds of calls that cannot be repeated."""


class EffectsProof:
    """What must hold of effects. `owed` holds the numbers of those that have no outcome yet."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self.owed: set[int] = set()
        self._calls = Calls(calls)
        self._kinds: dict[int, str] = {}
        self._done: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
        """By number: (effect, status) of each outcome."""

    def see(self, event: Event) -> None:
        """Look at the next event."""
        if not event.stream.startswith("clerk/"):
            return
        if event.type == "Did":
            data = msgspec.json.decode(event.data)
            if data["call"]:
                self._kinds[data["n"]] = data["call"]
                self.owed.add(data["n"])
        elif event.type == "Done":
            data = msgspec.json.decode(event.data)
            self._done[data["n"]].append((data["effect"], data["status"]))
            self.owed.discard(data["n"])

    def checks(self) -> list[Check]:
        """The statements, each with what was found."""
        lost = Check("every effect that was asked for has an outcome", f"{len(self._kinds):,} effects", figure=LOST)
        for n in sorted(self.owed):
            lost.fault(f"effect of errand {n} has none")
        once = Check("every effect has one outcome, or was unknown and then became known", figure=DOUBLED)
        true = Check("every outcome is what the world saw", figure=LOST)
        attempts = Check("no attempt was made twice, nothing irreversible was tried twice", figure=REPEATED)
        attempts.over = f"{self._calls.number:,} calls"
        for n, outcomes in self._done.items():
            once.require(n in self._kinds, f"nobody asked for the effect of errand {n}")
            effects, statuses = {effect for effect, _ in outcomes}, [status for _, status in outcomes]
            late = len(statuses) == 2 and statuses[0] == "unknown" and statuses[1] != "unknown"
            once.require(len(effects) == 1 and (len(statuses) == 1 or late), f"effect of errand {n}: {outcomes}")
            for effect, status in outcomes:
                self._true(true, n, effect, status)
        for effect, made in self._calls.attempts.items():
            attempts.require(len(set(made)) == len(made), f"{effect} was attempted {made}")
            true.require(len(self._calls.keys[effect]) == 1, f"{effect} had the keys {self._calls.keys[effect]}")
        kinds = {effect: self._kinds.get(n, "") for n, outcomes in self._done.items() for effect, _ in outcomes}
        for effect, kind in kinds.items():
            made = self._calls.attempts.get(effect, [])
            attempts.require(kind not in ONCE or len(made) <= 1, f"{effect} ({kind}) was attempted {made}")
        return [lost, once, true, attempts]

    def _true(self, check: Check, n: int, effect: str, status: str) -> None:
        made = self._calls.attempts.get(effect)
        check.require(status != "succeeded" or effect in self._calls.succeeded, f"errand {n} did not succeed")
        check.require(status == "unknown" or bool(made), f"errand {n} is {status} and was never called")
        check.require(status != "unknown" or self._kinds.get(n) in ONCE, f"errand {n} can be repeated, and is unknown")
