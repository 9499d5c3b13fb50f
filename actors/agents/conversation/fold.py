"""What each event makes of a conversation. Lists and maps are replaced, so that a shallow copy can be tried on."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec

from actors.agents.conversation.state import (
    LOST,
    RECENT,
    Conversation,
    Entry,
    Held,
    Inbound,
    Outbound,
    Past,
    Said,
    Summary,
    Turn,
)
from actors.agents.conversation.turn_fold import OF_TURN
from actors.agents.definition.plan import AgentDefinition, decode_definition
from events.agents import VariableDeclared, VariableRemoved, VariableSet
from events.conversations import (
    AgentAdopted,
    ConversationClosed,
    ConversationOpened,
    HistoryCompacted,
    MessageReceived,
    MessageTurnedAway,
    ModelAnswered,
    ModelFailed,
    ModelLost,
    OutboundAttempted,
    OutboundDelivered,
    OutboundFailed,
    OutboundIntended,
    TurnEnded,
    TurnStarted,
)
from events.models import Usage

_EXACT: Final = Context(prec=80)
_replace = msgspec.structs.replace


def add(one: str | None, other: str | None) -> str | None:
    """Dollars added, to the last digit; unknown and anything is unknown."""
    if one is None or other is None:
        return None
    if one == "0" or other == "0":
        return other if one == "0" else one
    return format(_EXACT.add(Decimal(one), Decimal(other)), "f")


@lru_cache(maxsize=256)
def _definition(data: bytes) -> AgentDefinition:
    return decode_definition(data)


_KNOWN: Final[dict[str, AgentDefinition]] = {}


def _shared(hash: str, definition: AgentDefinition) -> AgentDefinition:
    """The same definition, the one that others have too: each snapshot brings its own."""
    known = _KNOWN.get(hash)
    if known is not None and (known is definition or known == definition):
        return known
    if len(_KNOWN) > 256:
        _KNOWN.clear()
    _KNOWN[hash] = definition
    return definition


def summed(usage: dict[str, int], more: Usage) -> dict[str, int]:
    """Tokens of several calls."""
    found = dict(usage)
    for name in ("input", "output", "cache_read", "cache_write", "reasoning"):
        value = getattr(more, name)
        if value:
            found[name] = found.get(name, 0) + value
    return found


# -- the conversation and its messages


def _opened(state: Conversation, e: ConversationOpened) -> None:
    state.status = "open"
    state.agent, state.channel, state.by, state.title = e.agent, e.channel, e.by, e.title
    state.policy, state.parent = e.policy, e.parent


def _received(state: Conversation, e: MessageReceived) -> None:
    state.messages = e.number
    state.recent = [*state.recent, e.id] if len(state.recent) < RECENT else [*state.recent[1:], e.id]
    message = Inbound(
        e.number, e.id, e.sender, e.text, e.label, e.attachments, e.asker, e.ref, e.cause,
        run=e.run, variables=e.variables, requesters=e.requesters,
    )  # fmt: skip
    state.waiting = [*state.waiting, message]


def _turned_away(state: Conversation, e: MessageTurnedAway) -> None:
    state.waiting = [m for m in state.waiting if m.id != e.id]


def _closed(state: Conversation, _e: ConversationClosed) -> None:
    state.status = "closed"


# -- a turn


def _started(state: Conversation, e: TurnStarted) -> None:
    taken = set(e.messages)
    state.turns = e.turn
    if state.definition is not None:
        state.definition = _shared(state.hash, state.definition)
    messages = [m for m in state.waiting if m.number in taken]
    state.waiting = [m for m in state.waiting if m.number not in taken]
    state.turn = Turn(e.turn, messages, e.at, e.cause, progress=e.at)


def _adopted(state: Conversation, e: AgentAdopted) -> None:
    state.version, state.hash, state.definition = e.version, e.hash, _definition(bytes(e.definition))


def _answered(state: Conversation, e: ModelAnswered) -> None:
    known = next((c for c in state.calls if c.call == e.call), None)
    state.calls = [c for c in state.calls if c.call != e.call]
    turn = state.turn
    if turn is None or turn.number != e.turn:
        return
    if known is not None and known.lost and turn.cost is not None:
        turn.cost = format(_EXACT.subtract(Decimal(turn.cost), Decimal(known.estimate)), "f")
    turn.cost = add(turn.cost, e.cost)
    turn.usage = summed(turn.usage, e.answer.usage)
    if e.late:
        return
    turn.phase, turn.progress, turn.stuck = "answered", e.at, False
    if e.step:
        turn.answer = e.answer
        if e.answer.tool_uses:
            entry = Entry("answer", e.step, e.answer.text, e.answer.tool_uses, label=turn.label)
            turn.entries = [*turn.entries, entry]


def _failed(state: Conversation, e: ModelFailed) -> None:
    state.calls = [c for c in state.calls if c.call != e.call]
    turn = state.turn
    if turn is None or turn.number != e.turn or (turn.step, turn.attempt) != (e.step, e.attempt):
        return
    turn.tried += 1
    turn.progress, turn.stuck = e.at, False
    if e.failure.kind == "context-length":
        turn.shrunk += 1


def _lost(state: Conversation, e: ModelLost) -> None:
    lost = [_replace(c, lost=True) for c in state.calls if c.call == e.call]
    others = [c for c in state.calls if c.call != e.call]
    known = [c for c in others if c.lost]
    if lost and len(known) >= LOST:
        others.remove(known[0])
    state.calls = [*others, *lost]
    turn = state.turn
    if turn is not None and turn.number == e.turn:
        turn.cost = add(turn.cost, e.estimate)
        if (turn.step, turn.attempt) == (e.step, e.attempt):
            turn.tried += 1
            turn.progress, turn.stuck = e.at, False


def _ended(state: Conversation, e: TurnEnded) -> None:
    turn = state.turn
    if turn is None or turn.number != e.turn:
        return
    state.turn = None
    said = [Said(m.number, m.text, m.label) for m in turn.messages if not m.blocked]
    if said and e.code != "blocked":
        label = turn.reply_label or turn.label
        past = Past(e.turn, said, e.status, turn.reply if e.status == "replied" else "", label, turn.used)
        state.history = [*state.history, past]


def _compacted(state: Conversation, e: HistoryCompacted) -> None:
    state.history = [past for past in state.history if past.turn > e.last]
    state.summary = Summary(e.first, e.last, e.summary, e.label)


# -- what goes out


def _intended(state: Conversation, e: OutboundIntended) -> None:
    state.sent = e.number
    state.outbox = [*state.outbox, Outbound(e.number, e.turn, e.kind, e.text, e.data)]


def _attempted(state: Conversation, e: OutboundAttempted) -> None:
    state.outbox = [_replace(o, attempt=e.attempt) if o.number == e.number else o for o in state.outbox]


def _delivered(state: Conversation, e: OutboundDelivered) -> None:
    state.outbox = [o for o in state.outbox if o.number != e.number]
    if state.unsure:
        state.unsure = [n for n in state.unsure if n != e.number]


def _undelivered(state: Conversation, e: OutboundFailed) -> None:
    state.outbox = [o for o in state.outbox if o.number != e.number]
    if e.unknown:
        state.unsure = [*state.unsure, e.number][-LOST:]


# -- variables of this conversation


def _declared(state: Conversation, e: VariableDeclared) -> None:
    old = state.variables.get(e.name, Held())
    held = Held(e.schema, e.merge, e.secret, old.value, old.is_set)
    state.variables = {**state.variables, e.name: held}


def _set(state: Conversation, e: VariableSet) -> None:
    held = _replace(state.variables.get(e.name, Held()), value=e.value, is_set=True)
    state.variables = {**state.variables, e.name: held}


def _removed(state: Conversation, e: VariableRemoved) -> None:
    if e.name in state.variables:
        held = _replace(state.variables[e.name], value=None, is_set=False)
        state.variables = {**state.variables, e.name: held}


_OF_ALL: Final[dict[type[Any], Callable[[Conversation, Any], None]]] = {
    ConversationOpened: _opened,
    MessageReceived: _received,
    MessageTurnedAway: _turned_away,
    ConversationClosed: _closed,
    TurnStarted: _started,
    AgentAdopted: _adopted,
    ModelAnswered: _answered,
    ModelFailed: _failed,
    ModelLost: _lost,
    TurnEnded: _ended,
    HistoryCompacted: _compacted,
    OutboundIntended: _intended,
    OutboundAttempted: _attempted,
    OutboundDelivered: _delivered,
    OutboundFailed: _undelivered,
    VariableDeclared: _declared,
    VariableSet: _set,
    VariableRemoved: _removed,
}


def evolve(state: Conversation, event: Any) -> Conversation:
    """What an event makes of a conversation."""
    of_turn = OF_TURN.get(event.__class__)
    if of_turn is not None:
        if state.turn is not None and state.turn.number == event.turn:
            of_turn(state.turn, state, event)
        return state
    of_all = _OF_ALL.get(event.__class__)
    if of_all is not None:
        of_all(state, event)
    return state
