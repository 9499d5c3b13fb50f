"""Which steps of which runs wait for which events, as the log tells it, and whether an event is what one waits for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from actors.workflows.engine.look import captured_as, walk
from actors.workflows.expressions import ExpressionError, Expressions, Reference
from actors.workflows.messages import Signal
from actors.workflows.values import MISSING, Template
from events.envelope import Event
from events.workflows import EventAwaited, EventWaitOver

OWN = (EventAwaited.__name__, EventWaitOver.__name__)


class Wait(msgspec.Struct, frozen=True):
    """One step's wait: since which position, and what must hold of the event."""

    position: int
    said: EventAwaited
    match: Template | None


class Awaited:
    """The open waits, by (tenant, type of the event) and by (run, step)."""

    def __init__(self, expressions: Expressions) -> None:
        self._expressions = expressions
        self._open: dict[tuple[str, str], dict[tuple[str, str], Wait]] = {}
        self._where: dict[tuple[str, str, str], tuple[str, str]] = {}

    def types(self) -> Collection[str]:
        """What begins and ends waits, and what is waited for."""
        return {*OWN, *(type for _, type in self._open)}

    def oldest(self) -> int | None:
        """The position of the first wait that is open."""
        return min((wait.position for waits in self._open.values() for wait in waits.values()), default=None)

    def see(self, fact: Event) -> Sequence[tuple[str, Signal]]:
        """One fact; a signal for each run in which a step waited for it."""
        found = self._matched(fact) if (fact.tenant, fact.type) in self._open else []
        if fact.type == OWN[0] and fact.stream.startswith("run/"):
            self._begins(fact, msgspec.json.decode(fact.data, type=EventAwaited))
        elif fact.type == OWN[1] and fact.stream.startswith("run/"):
            self._ends(fact.tenant, fact.stream, msgspec.json.decode(fact.data, type=EventWaitOver).step)
        return found

    def _begins(self, fact: Event, said: EventAwaited) -> None:
        self._ends(fact.tenant, fact.stream, said.step)
        try:
            match = Template("${" + said.match + "}", self._expressions, said.names) if said.match else None
        except ExpressionError:
            return  # it never matches
        key = (fact.tenant, said.type)
        self._open.setdefault(key, {})[fact.stream, said.step] = Wait(fact.position, said, match)
        self._where[fact.tenant, fact.stream, said.step] = key

    def _ends(self, tenant: str, run: str, step: str) -> None:
        key = self._where.pop((tenant, run, step), None)
        if key is not None:
            del self._open[key][run, step]
            if not self._open[key]:
                del self._open[key]

    def _matched(self, fact: Event) -> list[tuple[str, Signal]]:
        try:
            data = msgspec.json.decode(fact.data)
        except msgspec.DecodeError:
            return []
        event = {"type": fact.type, "data": data, "id": fact.id}
        steps: dict[str, list[str]] = {}
        for (run, step), wait in self._open[fact.tenant, fact.type].items():
            if _holds(wait, event):
                steps.setdefault(run, []).append(step)
        return [(run, Signal(fact.type, data, fact.id, places)) for run, places in steps.items()]


def _holds(wait: Wait, event: dict[str, Any]) -> bool:
    if wait.match is None:
        return True

    def look(reference: Reference) -> Any:
        if reference[0] == "event":
            return walk(event, reference[1:])
        return wait.said.seen.get(captured_as(reference), MISSING)

    try:
        return wait.match.render(look) is True
    except ExpressionError:
        return False  # an event without what is asked for does not match
