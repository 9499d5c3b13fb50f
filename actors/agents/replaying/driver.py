"""A conversation driven by hand: messages go in, events and what it asks for come out. No clock, no host, no log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from actors.agents.conversation.fold import evolve
from actors.agents.conversation.state import Conversation
from actors.channels.port import CHANNEL_DELIVER
from actors.core.outputs import Ask, Effect, Outcome, Replied, Tell
from actors.models.port import MODEL_CALL
from actors.tools.messages import RequestCall
from events.agents import CONTEXT_EVENTS
from events.conversations import CONVERSATION_EVENTS
from events.envelope import Message
from events.errors import Refused
from events.registry import Registry

Decide = Callable[[Conversation, Message], list[Any]]
"""Of the kind: `conversation_kind().decide`."""

_FACTS = frozenset(type.struct for type in Registry((*CONVERSATION_EVENTS, *CONTEXT_EVENTS)))


class Driver:
    """One conversation. `asked` is what it wants of others and has not got yet; `facts` what happened here."""

    def __init__(self, decide: Decide, state: Conversation, address: str, tenant: str = "default") -> None:
        self._decide = decide
        self.state = state
        self.address = address
        self.tenant = tenant
        self.now = 0
        self.facts: list[Any] = []
        self.asked: list[Any] = []
        self._count = 0

    def resume(self) -> None:
        """What was under way in the state it begins with counts as asked for."""
        if self.state.outbox:
            first = self.state.outbox[0]
            self.asked.append(Effect(CHANNEL_DELIVER, None, ref=f"deliver:{first.number}.{first.attempt}"))
        for call in self.state.calls:
            self.asked.append(Effect(MODEL_CALL, None, ref=f"model:{call.turn}.{call.step}.{call.attempt}"))

    def give(self, data: Any, sender: str) -> list[Any]:
        """Let it decide a message; the events. Raises Refused."""
        self._count += 1
        self.now += 1
        id = f"{self._count:032x}"
        message = Message(
            id, data.__class__.__name__, self.address, self.tenant, b"", sender, self.now, "", id, data
        )  # fmt: skip
        facts: list[Any] = []
        for output in self._decide(self.state, message):
            if isinstance(output, Ask | Effect | Tell):
                self.asked.append(output)
            elif output.__class__ in _FACTS:
                self.state = evolve(self.state, output)
                facts.append(output)
        self.facts += facts
        return facts

    def try_give(self, data: Any, sender: str) -> str:
        """As `give`; why it was refused, or ""."""
        try:
            self.give(data, sender)
        except Refused as refused:
            return refused.message
        return ""

    def take(self, ref: str) -> Any:
        """What it asked for with a reference; None when it did not, or has it."""
        for n, wanted in enumerate(self.asked):
            if getattr(wanted, "ref", None) == ref:
                return self.asked.pop(n)
        return None

    def take_call(self, call: str) -> RequestCall | None:
        """The request it made of a tool call; None when it made none."""
        for n, wanted in enumerate(self.asked):
            if isinstance(wanted, Tell) and wanted.to == f"call/{call}" and isinstance(wanted.data, RequestCall):
                self.asked.pop(n)
                return wanted.data
        return None

    def take_kind(self, kind: str) -> Effect | None:
        """The oldest effect of a kind it wants."""
        for n, wanted in enumerate(self.asked):
            if isinstance(wanted, Effect) and wanted.kind == kind:
                return self.asked.pop(n)
        return None

    def answer(self, ask: Ask, data: Any) -> None:
        """Answer what it asked another actor."""
        self.give(Replied(ask.ref, ask.to, msgspec.to_builtins(data)), ask.to)

    def settle(self, effect: Effect, status: str, result: Any = None, error: str = "") -> None:
        """Say what became of an effect."""
        outcome = Outcome(effect.ref, effect.kind, effect.ref, status, msgspec.to_builtins(result), error)
        self.give(outcome, f"effect:{effect.kind}")
