"""Given events, when a message, then what the actor decides: no store, no bus, no loop.

given(account, Opened("ada")).when(Deposit(5)).then(Deposited(5), Reply({"balance": 5}))
given(account).when(Withdraw(5)).refused("insufficient")
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.core.fold import begin
from actors.core.kind import Kind
from actors.core.outputs import Reply
from actors.testing.clock import START
from events.envelope import Message
from events.errors import Refused


class Scenario:
    """A kind with a history. Each step returns the scenario, so that steps can be chained."""

    def __init__(self, kind: Kind, history: tuple[Any, ...], address: str | None = None) -> None:
        self.kind = kind
        self.address = address or f"{kind.name}/test"
        self.state: Any = begin(kind, self.address).state
        self.outputs: list[Any] = []
        self.refusal: Refused | None = None
        self._count = 0
        for event in history:
            self._apply(event)

    def when(self, data: Any, *, sender: str = "user:test", time: int = START) -> Scenario:
        """Let the actor decide a message; its events are applied to the state."""
        if self.refusal is not None:
            raise AssertionError(f"unexpected refusal: {self.refusal.reason_code}: {self.refusal}")
        self._count += 1
        known = self.kind.messages.of(data)
        body = msgspec.json.encode(data)
        # Through JSON and back, as on the way through a mailbox.
        typed = self.kind.messages.decode(known.name, known.schema, body)
        id = f"00000000-0000-7000-8000-{self._count:012x}"
        message = Message(id, known.name, self.address, "default", body, sender, time, "", id, typed, known.schema)
        try:
            self.outputs = list(self.kind.decide(self.state, message) or ())
        except Refused as refused:
            self.outputs, self.refusal = [], refused
            return self
        for output in self.outputs:
            if type(output) in self.kind.event_types:
                self._apply(output)
        return self

    def then(self, *expected: Any) -> Scenario:
        """Exactly these outputs, in order."""
        if self.refusal is not None:
            raise AssertionError(f"refused with {self.refusal.reason_code}: {self.refusal}")
        if self.outputs != list(expected):
            raise AssertionError(f"expected {list(expected)}\n     got {self.outputs}")
        return self

    def replied(self, data: Any) -> Scenario:
        """The reply, whatever else was decided."""
        replies = [output.data for output in self.outputs if isinstance(output, Reply)]
        if replies != [data]:
            raise AssertionError(f"expected the reply {data!r}, got {replies}")
        return self

    def refused(self, code: str | None = None) -> Scenario:
        """The last message was refused, with that code if given."""
        if self.refusal is None:
            raise AssertionError(f"expected a refusal, got {self.outputs}")
        if code is not None and self.refusal.reason_code != code:
            raise AssertionError(f"expected refusal {code!r}, got {self.refusal.reason_code!r}: {self.refusal}")
        self.refusal = None
        return self

    def state_is(self, expected: Any) -> Scenario:
        """The state after all that."""
        if self.state != expected:
            raise AssertionError(f"expected state {expected}\n          got {self.state}")
        return self

    def _apply(self, event: Any) -> None:
        known = self.kind.events.of(event)
        stored = self.kind.events.encode(event)
        self.state = self.kind.evolve(self.state, self.kind.events.decode(known.name, known.schema, stored))


def given(kind: Kind, *history: Any, address: str | None = None) -> Scenario:
    """Begin a scenario with a history of events."""
    return Scenario(kind, history, address)
