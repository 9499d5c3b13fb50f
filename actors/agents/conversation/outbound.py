"""What goes out: intended, attempted, delivered. One after the other, never twice.

Each is rendered by the channel: when it is handed to one that is pushed, when it is read from one that is pulled.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.agents.conversation.decision import Decision
from actors.channels.port import CHANNEL_DELIVER, Deliver
from actors.core.outputs import Effect, Outcome
from events.conversations import OutboundAttempted, OutboundDelivered, OutboundFailed, OutboundIntended


def intend(d: Decision, kind: str, text: str, data: Any = None, turn: int = 0) -> None:
    """Something is to be sent."""
    number = d.state.sent + 1
    d.emit(OutboundIntended(number, turn, kind, text, d.now, data))
    if d.channel.can.pulled:
        d.emit(OutboundAttempted(number, 1, d.now))
        d.emit(OutboundDelivered(number, 1, d.now))
    elif len(d.state.outbox) == 1:
        _attempt(d)


def _attempt(d: Decision) -> None:
    """Hand the first of what waits to the channel."""
    first = d.state.outbox[0]
    attempt = first.attempt + 1
    d.emit(OutboundAttempted(first.number, attempt, d.now))
    deliver = Deliver(d.state.channel, d.address, first.number, first.kind, first.text, first.data, attempt)
    request = msgspec.structs.replace(deliver, messages=d.channel.rendered(deliver))
    d.out(Effect(CHANNEL_DELIVER, request, ref=f"deliver:{first.number}.{attempt}", key=d.name(first.number)))


def came_back(d: Decision, ref: str, outcome: Outcome) -> None:
    """What became of a delivery. One nobody knows of is not tried again: the other side may have it."""
    number, attempt = map(int, ref.split("."))
    open_ = bool(d.state.outbox) and d.state.outbox[0].number == number and d.state.outbox[0].attempt == attempt
    if not open_ and number not in d.state.unsure:
        return
    if outcome.status == "succeeded":
        d.emit(OutboundDelivered(number, attempt, d.now, msgspec.to_builtins(outcome.result)))
    elif outcome.status == "failed":
        d.emit(OutboundFailed(number, attempt, d.now, outcome.error))
    elif open_:
        d.emit(OutboundFailed(number, attempt, d.now, outcome.error, unknown=True))
    if open_ and d.state.outbox:
        _attempt(d)
