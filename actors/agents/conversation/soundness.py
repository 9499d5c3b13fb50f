"""What must be true of a conversation between two messages: above all, that something is under way during a turn."""

from __future__ import annotations

from actors.agents.conversation.state import LOST, RECENT, Conversation
from actors.agents.conversation.watching import waiting_for

WAITING = ("admission", "admitted", "budget", "model", "tools", "inbound", "prompt", "output", "outbound")
"""Phases in which something else is waited for."""


def problems(state: Conversation) -> list[str]:
    """Everything that is wrong; empty for a sound conversation. For tests and doctors."""
    found: list[str] = []
    turn = state.turn
    if state.status == "new" and (turn or state.waiting or state.history or state.messages):
        found.append("a conversation nobody opened has a history")
    if state.waiting and turn is None:
        found.append(f"messages {[m.number for m in state.waiting]} wait, and no turn is under way")
    if state.status == "closed" and (turn is not None or state.waiting):
        found.append("a turn goes on in a closed conversation")
    if turn is not None:
        if turn.phase not in WAITING:
            found.append(f"turn {turn.number} is {turn.phase}, and nothing is under way")
        elif not waiting_for(state):
            found.append(f"turn {turn.number} is at {turn.phase} and waits for nothing")
        if turn.number != state.turns:
            found.append(f"turn {turn.number} is under way, {state.turns} were begun")
        if not turn.messages:
            found.append(f"turn {turn.number} answers nothing")
    if turn is None or turn.phase != "model":
        found += [f"call {c.call} of the turn under way is open" for c in state.calls
                  if turn is not None and c.turn == turn.number and not c.lost]  # fmt: skip
    numbers = [m.number for m in state.waiting] + [m.number for m in turn.messages] if turn else []
    if len(set(numbers)) != len(numbers):
        found.append("a message is in two places")
    past = [p.turn for p in state.history]
    if past != sorted(set(past)) or (state.summary is not None and past and past[0] <= state.summary.last):
        found.append(f"history is out of order: {past}")
    if len(state.recent) > RECENT or len(state.unsure) > LOST or sum(c.lost for c in state.calls) > LOST:
        found.append("more is remembered than allowed")
    if len(state.recent) != min(RECENT, state.messages):
        found.append(f"{state.messages} messages came, {len(state.recent)} ids are remembered")
    outbox = [o.number for o in state.outbox]
    if outbox != sorted(outbox) or (outbox and not state.outbox[0].attempt):
        found.append(f"what goes out is {outbox}, and the first is not under way")
    return found
