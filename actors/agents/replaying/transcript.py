"""A conversation read back: folded silently, shown as what was said and done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from actors.agents.conversation.fold import add, evolve
from actors.agents.conversation.state import Conversation
from actors.agents.prompt.explain import typed
from events.conversations import (
    ContextAssembled,
    HistoryCompacted,
    MessageReceived,
    ModelAnswered,
    ModelAsked,
    ModelFailed,
    ModelLost,
    OutboundDelivered,
    OutboundFailed,
    OutboundIntended,
    ToolAnswered,
    ToolAsked,
    TurnAdmitted,
    TurnEnded,
    TurnReplied,
    TurnStarted,
)
from events.envelope import Event


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was said or done. `who`: user, agent, model, tool, channel, turn."""

    who: str
    what: str
    turn: int
    step: int
    version: int
    at: int
    text: str = ""
    data: Any = None


class Played(msgspec.Struct, omit_defaults=True):
    """A turn as it went. `path` are its tools in order, `models` those that answered."""

    turn: int
    messages: list[str] = []
    agent_version: int = 0
    status: str = "under way"
    reason: str = ""
    """Why it did not reply."""
    text: str = ""
    cost: str | None = "0"
    path: list[str] = []
    models: list[str] = []
    steps: int = 0


class Transcript(msgspec.Struct, frozen=True):
    """All of it: line by line, turn by turn, and the state it leads to."""

    lines: list[Line]
    turns: list[Played]
    state: Conversation


def replay(events: Iterable[Event], upto: int | None = None) -> Transcript:
    """Fold the stream of a conversation (to a version, if given) into a transcript. Nothing is called."""
    state = Conversation()
    lines: list[Line] = []
    turns: dict[int, Played] = {}
    texts: dict[int, str] = {}
    for event, fact in typed(events):
        if upto is not None and event.version > upto:
            break
        state = evolve(state, fact)
        line = _line(event, fact)
        if line is not None:
            lines.append(line)
        fold_turn(turns, texts, fact)
    return Transcript(lines, list(turns.values()), state)


def _line(event: Event, fact: Any) -> Line | None:
    step = getattr(fact, "step", 0)
    turn = getattr(fact, "turn", 0)

    def line(who: str, what: str, text: str = "", data: Any = None) -> Line:
        return Line(who, what, turn, step, event.version, event.recorded_at, text, data)

    match fact:
        case MessageReceived():
            return line("user", "wrote", fact.text, {"number": fact.number, "sender": fact.sender})
        case TurnStarted():
            return line("turn", "started", data={"messages": fact.messages})
        case ModelAsked():
            return line("agent", "asked", data={"models": fact.models, "attempt": fact.attempt})
        case ModelAnswered():
            uses = [use.name for use in fact.answer.tool_uses]
            return line(
                "model", "late" if fact.late else "answered", fact.answer.text, {"cost": fact.cost, "uses": uses}
            )
        case ModelFailed():
            return line("model", "failed", fact.failure.message, {"kind": fact.failure.kind})
        case ModelLost():
            return line("model", "lost", fact.reason)
        case ToolAsked():
            return line("agent", "wants", fact.arguments, {"tool": fact.tool, "call": fact.call})
        case ToolAnswered():
            return line("tool", fact.status, fact.text, {"call": fact.call})
        case TurnReplied():
            return line("agent", "replied", fact.text, fact.data)
        case TurnEnded():
            return line("turn", fact.status, fact.reason, {"cost": fact.cost})
        case HistoryCompacted():
            return line("agent", "summarised", fact.summary, {"first": fact.first, "last": fact.last})
        case OutboundIntended() if fact.kind != "reply":
            return line("channel", fact.kind, fact.text)
        case OutboundDelivered():
            return line("channel", "delivered", data={"number": fact.number})
        case OutboundFailed():
            return line("channel", "unknown" if fact.unknown else "failed", fact.reason)
        case _:
            return None


def fold_turn(turns: dict[int, Played], texts: dict[int, str], fact: Any) -> None:
    """Fold an event into the turns; `texts` are those of messages that wait, by number."""
    if isinstance(fact, MessageReceived):
        texts[fact.number] = fact.text
        return
    if isinstance(fact, TurnStarted):
        turns[fact.turn] = Played(fact.turn, [texts.pop(n, "") for n in fact.messages], path=[], models=[])
    played = turns.get(getattr(fact, "turn", 0))
    if played is None:
        return
    match fact:
        case TurnAdmitted():
            played.agent_version = fact.version
        case ContextAssembled():
            played.steps = fact.step
        case ModelAnswered():
            played.models.append(fact.model)
            played.cost = add(played.cost, fact.cost)
        case ToolAsked():
            played.path.append(fact.tool)
        case TurnReplied():
            played.text = fact.text
        case TurnEnded():
            played.status, played.reason = fact.status, fact.reason
            played.cost = fact.cost
        case _:
            pass
