"""Independent checks of a torture: acknowledgements, the world's own list of calls, and the log; no code of the kinds.

Every fault counts towards one of the figures that are published: lost, doubled, reordered, attempts repeated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from events.envelope import Answer, Event
from events.store import Epoch
from gateway.demo.plan import Step
from gateway.demo.proof import Acknowledged, LedgerProof
from gateway.proof import Check, LogProof
from gateway.torture.effects import EffectsProof
from gateway.torture.figures import DOUBLED, LOST, Figures, counted, figured
from gateway.torture.notes import NotesProof
from gateway.torture.outside import Call

BIG = 1_000_003


class Heard(msgspec.Struct, frozen=True):
    """An acknowledgement as a client got it. `outcome` is handled, refused, skipped (by an operator: the actor's code
    fails at it), key-reused for a forgery found out, or expired: it was handled so long ago that nobody knows how."""

    outcome: str
    position: int = 0
    version: int = 0
    reply: Any = None
    code: str = ""

    @classmethod
    def of(cls, answer: Answer | Mapping[str, Any]) -> Heard:
        """From the kernel's answer, or the door's JSON."""
        if isinstance(answer, Answer):
            if answer.outcome != "handled":
                why = msgspec.json.decode(answer.data or b"{}", type=dict[str, str])
                return cls(answer.outcome, code=why.get("code", ""))
            reply = msgspec.json.decode(answer.data) if answer.data is not None else None
            return cls("handled", answer.position, answer.version, reply)
        if answer["outcome"] != "handled":
            return cls(answer["outcome"], code=answer.get("code", ""))
        return cls("handled", answer["position"], answer["version"], answer.get("reply"))


class Asked:
    """What clients asked for and heard: one entry for each request that was sent, however often it was tried."""

    def __init__(self) -> None:
        self.sent: dict[str, list[tuple[Step, list[Heard]]]] = {}
        """By key and receiver, the bodies sent under it with what was heard of each."""
        self.transfers: dict[str, Acknowledged] = {}
        self.operations = 0

    def send(self, step: Step) -> list[Heard]:
        """A step is about to be sent; what is heard is added to the list returned."""
        if step.message == "Transfer":
            data = step.data
            self.transfers.setdefault(step.to, Acknowledged(data["source"], data["target"], data["amount"], []))
        bodies = self.sent.setdefault(f"{step.to} {step.key}", [])
        for known, heard in bodies:
            if known.data == step.data and known.message == step.message:
                return heard
        self.operations += 1
        bodies.append((step, []))
        return bodies[-1][1]

    def hear(self, step: Step, answer: Answer | Mapping[str, Any] | Heard) -> None:
        """It was acknowledged."""
        heard = answer if isinstance(answer, Heard) else Heard.of(answer)
        self.send(step).append(heard)
        if step.message == "Transfer" and heard.outcome == "handled":
            self.transfers[step.to].positions.append(heard.position)


class TortureProof:
    """All that must hold of a torture, as one witness. `calls` is what the world saw; `tallies` (by stream) and
    `balances` (by account) are what the projections show, `epochs` the claims of partitions; None to leave them out."""

    def __init__(
        self,
        asked: Asked,
        calls: Iterable[Call],
        tallies: Mapping[str, tuple[int, int]] | None = None,
        balances: Mapping[str, int] | None = None,
        epochs: Sequence[Epoch] | None = None,
    ) -> None:
        self._asked = asked
        self._shown = tallies
        self._ledger = LedgerProof(asked.transfers, balances)
        self._notes = NotesProof()
        self._effects = EffectsProof(calls)
        self._log = LogProof(epochs=epochs)
        self._witnesses = (self._log, self._ledger, self._notes, self._effects)
        self._did: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
        """By number: (position, version, total after it)."""
        self._totals: defaultdict[str, int] = defaultdict(int)
        self._tallies: dict[str, tuple[int, int]] = {}
        self._bounds = Check("no total was ever below zero", figure=LOST)

    @property
    def owed(self) -> int:
        """How much is still to happen, as far as the log was read: nothing once all has ended."""
        return len(self._notes.owed) + len(self._effects.owed) + self._ledger.unfinished()

    def see(self, event: Event) -> None:
        """Look at the next event."""
        for witness in self._witnesses:
            witness.see(event)
        kind = event.stream.partition("/")[0]
        if kind not in ("clerk", "desk", "board"):
            return
        data = msgspec.json.decode(event.data)
        number = data.get("n", data.get("k"))
        if number is None:
            return
        events, numbers = self._tallies.get(event.stream, (0, 0))
        self._tallies[event.stream] = (events + 1, (numbers * 31 + number) % BIG)
        if event.type == "Did":
            total = self._totals[event.stream] = self._totals[event.stream] + data["add"]
            self._bounds.require(total >= 0, f"{event.stream} version {event.version} leaves {total}")
            self._did[number].append((event.position, event.version, total))

    def checks(self) -> list[Check]:
        """The statements, each with what was found."""
        found = figured(self._log.checks())
        found += [check for witness in (self._ledger, self._notes, self._effects) for check in witness.checks()]
        found += [self._bounds, *self._acknowledged(), self._asked_for()]
        if self._shown is not None:
            equal = Check(
                "the projection of tallies equals a fold of the log", f"{len(self._tallies):,} streams", figure=LOST
            )
            for stream in self._tallies.keys() | self._shown.keys():
                shown, folded = self._shown.get(stream), self._tallies.get(stream)
                equal.require(shown == folded, f"{stream}: {shown} shown, {folded} folded")
            found.append(equal)
        return found

    def _acknowledged(self) -> list[Check]:
        true = Check("every acknowledged errand happened as it was said, every refused one did not", figure=LOST)
        once = Check("every errand happened at most once, whatever its body", figure=DOUBLED)
        alike = Check("every repetition got the first answer", figure=DOUBLED)
        count = 0
        for key, bodies in self._asked.sent.items():
            happened = 0
            for step, heard in bodies:
                count += len(heard)
                known = {msgspec.json.encode(h) for h in heard if h.outcome != "expired"}
                alike.require(len(known) <= 1, f"{key} was answered {heard}")
                if step.message == "Do":
                    happened += self._errand(true, step, heard)
            once.require(happened <= 1, f"{key} happened {happened} times")
        true.over = alike.over = f"{count:,} acknowledgements"
        once.over = f"{self._asked.operations:,} operations"
        return [true, once, alike]

    def _errand(self, true: Check, step: Step, heard: Sequence[Heard]) -> int:
        done = self._did.get(step.data["n"], [])
        for one in heard:
            if one.outcome == "handled":
                said = (one.position, one.version, one.reply["total"])
                true.require(said in done, f"errand {step.data['n']} of {step.to} was said to be {said}, is {done}")
            elif one.outcome != "expired":
                true.require(not done, f"errand {step.data['n']} of {step.to} was {one.outcome}, is {done}")
        return len(done)

    def _asked_for(self) -> Check:
        check = Check("nothing happened that nobody asked for", figure=DOUBLED)
        known = {step.data["n"] for bodies in self._asked.sent.values() for step, _ in bodies if step.message == "Do"}
        for number, done in self._did.items():
            check.require(number in known, f"errand {number}: {done}")
        return check


def figures(asked: Asked, checks: Iterable[Check], *, faults: int, events: int, calls: int) -> Figures:
    """The figures of what was asked and found."""
    heard = sum(len(heard) for bodies in asked.sent.values() for _, heard in bodies)
    return Figures(asked.operations, faults, heard, events, calls, **counted(checks))
