"""Checks of what travels between actors: notes come once and in the order sent, and are routed so; bells ring once."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import msgspec

from events.envelope import Event
from gateway.proof import Check
from gateway.torture.figures import DOUBLED, LOST, REORDERED


class NotesProof:
    """What must hold of notes, boards and bells. `owed` names what was promised and has not happened yet."""

    def __init__(self) -> None:
        self.owed: set[str] = set()
        self._came: Counter[str] = Counter()
        self._twice = Check("every note, rebuff and ring came at most once, and none unasked", figure=DOUBLED)
        self._order = Check(
            "notes of one clerk came to a desk in the order sent, and to its board so", figure=REORDERED
        )
        self._bells = Check("a bell rang for its last winding only", figure=DOUBLED)
        self._last: dict[tuple[str, str], int] = {}
        """The place, in what its sender sent, of the last note that a desk decided on."""
        self._sent: dict[int, tuple[str, str, int]] = {}
        """By note: sender, receiver, and its place among all the sender sent."""
        self._places: defaultdict[str, int] = defaultdict(int)
        self._pinned: defaultdict[str, list[int]] = defaultdict(list)
        self._seen: defaultdict[str, int] = defaultdict(int)
        self._wound: dict[str, int] = {}

    def see(self, event: Event) -> None:
        """Look at the next event."""
        kind, _, name = event.stream.partition("/")
        if kind not in ("clerk", "desk", "board"):
            return
        data = msgspec.json.decode(event.data)
        match event.type:
            case "Did":
                self._did(event.stream, data)
            case "Noted":
                self._decided(event.stream, data["k"], data["by"])
                self._pinned[name].append(data["k"])
                self.owed.add(f"note {data['k']} on its board")
            case "MessageRefused" if data["message_type"] == "Note":
                k = int(data["reason"])
                self._decided(event.stream, k, None)
                self.owed.add(f"rebuff {k}")
            case "Rebuffed":
                self._pay(f"rebuff {data['k']}")
            case "Seen":
                self._board(name, data["k"])
            case "Rang":
                self._bells.require(
                    self._wound.pop(event.stream, None) == data["n"], f"{event.stream} heard {data['n']}"
                )
                self.owed.discard(f"ring of {event.stream}")
            case _:
                pass

    def _did(self, clerk: str, data: dict[str, Any]) -> None:
        if data["notes"]:
            for k in (2 * data["n"], 2 * data["n"] + 1):
                self._places[clerk] += 1
                self._sent[k] = (clerk, data["notes"], self._places[clerk])
                self.owed.add(f"note {k}")
        if data["bell"]:
            self._wound[clerk] = data["n"]
            self.owed.add(f"ring of {clerk}")
        elif data["bell"] is not None:
            self._wound.pop(clerk, None)
            self.owed.discard(f"ring of {clerk}")

    def _decided(self, desk: str, k: int, by: str | None) -> None:
        self._pay(f"note {k}")
        sender, receiver, place = self._sent.get(k, ("", "", 0))
        self._twice.require(receiver == desk and by in (None, sender), f"{desk} got {k} of {by}, sent to {receiver}")
        last = self._last.get((sender, desk), 0)
        self._order.require(place > last, f"{desk} got note {k} of {sender} (its {place}.) after its {last}.")
        self._last[sender, desk] = max(last, place)

    def _board(self, name: str, k: int) -> None:
        self._pay(f"note {k} on its board")
        place = self._seen[name]
        self._seen[name] += 1
        expected = self._pinned[name][place] if place < len(self._pinned[name]) else None
        self._order.require(expected == k, f"board/{name} saw {k}, {expected} was next")

    def _pay(self, debt: str) -> None:
        self._came[debt] += 1
        self._twice.require(debt in self.owed, f"{debt}, for the {self._came[debt]}. time")
        self.owed.discard(debt)

    def checks(self) -> list[Check]:
        """The statements, each with what was found."""
        lost = Check("every note, rebuff and ring that was promised came", figure=LOST)
        for debt in sorted(self.owed):
            lost.fault(f"{debt} never came")
        lost.over = self._twice.over = f"{sum(self._came.values()):,} of them"
        self._order.over = f"{len(self._last):,} pairs of actors, {len(self._seen):,} boards"
        return [lost, self._twice, self._order, self._bells]
