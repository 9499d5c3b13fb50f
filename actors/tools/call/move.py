"""One decision of a call under way: what is known, and what comes out of it in order."""

from __future__ import annotations

from copy import copy
from typing import Any

from actors.tools.call.state import CallState, evolve
from events.envelope import Message
from events.tools import CallJudged, CallPinned, CallRequested


class Move:
    """Collects what a decision returns. `state` is a copy that its own events have been applied to."""

    def __init__(self, state: CallState, message: Message) -> None:
        self.state = copy(state)
        self.message = message
        self.outs: list[Any] = []
        self.answer: Any = None
        """What the actor that was asked last said, decoded."""
        self.preview: Any = None
        """What the call would do, once the tool has said so."""
        self.budget = 0
        """The next budget to look at."""

    @property
    def me(self) -> str:
        """The address of the call."""
        return self.message.to

    @property
    def id(self) -> str:
        """The same without its kind."""
        return self.message.to.partition("/")[2]

    @property
    def now(self) -> int:
        """µs since 1970 (UTC)."""
        return self.message.time

    @property
    def request(self) -> CallRequested:
        """What is wanted."""
        assert self.state.request is not None
        return self.state.request

    @property
    def pinned(self) -> CallPinned:
        """What it is bound to."""
        assert self.state.pinned is not None
        return self.state.pinned

    @property
    def judged(self) -> CallJudged:
        """What the policy said."""
        assert self.state.judged is not None
        return self.state.judged

    def emit(self, event: Any) -> None:
        """It happened."""
        self.outs.append(event)
        self.state = evolve(self.state, event)

    def out(self, *outputs: Any) -> None:
        """Tell or ask somebody, or the world."""
        self.outs += outputs
