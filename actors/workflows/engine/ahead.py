"""What the events of the last decision lead to is known already: it need not be computed once more.

`decide` tries its events on a scratch copy. When the kernel applies these very events to the very state they were
decided on, the copy is merged into it at the last one. Whatever else comes (another run, history, a decision that was
dropped) is folded as always; so this saves time and changes nothing.
"""

from __future__ import annotations

from typing import Any

from actors.workflows.engine.turn import Turn
from actors.workflows.fold import evolve
from actors.workflows.state import Run, merged


class Ahead:
    """The last decision, until its events are applied."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._tried: Run | None = None
        self._events: list[Any] = []
        self._applied = 0

    def remember(self, run: Run, turn: Turn) -> None:
        """Keep what a decision leads to."""
        self._run, self._tried, self._events, self._applied = run, turn.run, turn.events, 0

    def evolve(self, run: Run, event: Any) -> Run:
        """Apply one event."""
        if run is not self._run:
            return evolve(run, event)
        events, at = self._events, self._applied
        if at < len(events) and event is events[at]:
            self._applied = at + 1
            if at + 1 == len(events):
                assert self._tried is not None
                run = merged(run, self._tried)
                self._run = self._tried = None
                self._events = []
            return run
        self._run = self._tried = None
        for skipped in events[:at]:
            evolve(run, skipped)
        return evolve(run, event)
