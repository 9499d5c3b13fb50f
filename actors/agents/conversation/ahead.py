"""What the events of the last decision lead to is known already: it need not be computed once more.

`decide` tries its events on a copy. When the kernel applies these very events to the very state they were decided on,
the copy takes its place at the last one. Whatever else comes (another conversation, history, a decision that was
dropped) is folded as always; so this saves time and changes nothing. Each thread has its own.
"""

from __future__ import annotations

import threading
from typing import Any

from actors.agents.conversation.decision import Decision
from actors.agents.conversation.fold import evolve
from actors.agents.conversation.state import Conversation


class Ahead(threading.local):
    """The last decision of this thread, until its events are applied."""

    def __init__(self) -> None:
        self._state: Conversation | None = None
        self._tried: Conversation | None = None
        self._events: list[Any] = []
        self._applied = 0

    def remember(self, state: Conversation, d: Decision) -> None:
        """Keep what a decision leads to."""
        self._state, self._tried, self._events, self._applied = state, d.state, d.events, 0

    def evolve(self, state: Conversation, event: Any) -> Conversation:
        """Apply one event."""
        if state is not self._state:
            return evolve(state, event)
        events, at = self._events, self._applied
        if at < len(events) and event is events[at]:
            self._applied = at + 1
            if at + 1 < len(events):
                return state
            tried = self._tried
            self._forget()
            assert tried is not None
            return tried
        self._forget()
        for skipped in events[:at]:
            state = evolve(state, skipped)
        return evolve(state, event)

    def _forget(self) -> None:
        self._state = self._tried = None
        self._events = []
