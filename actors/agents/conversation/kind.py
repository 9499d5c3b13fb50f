"""The actor kind `conversation` (`conversation/<id>`): messages come in, turns answer them, replies go out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from actors.agents.conversation import (
    admission,
    asking,
    doors,
    fold,
    holding,
    outbound,
    outcomes,
    state,
    tool_uses,
    turn_fold,
)
from actors.agents.conversation.ahead import Ahead
from actors.agents.conversation.decision import Decision, Look
from actors.agents.conversation.ending import begin_next, fail_turn
from actors.agents.conversation.state import Conversation
from actors.agents.conversation.watching import described, is_over, look_again
from actors.agents.definition import plan
from actors.agents.messages import (
    CheckTurn,
    CloseConversation,
    DeclareVariable,
    DescribeConversation,
    InterruptTurn,
    OpenConversation,
    Post,
    ReadVariables,
    RemoveVariable,
    SetVariable,
    TurnMayBegin,
    TurnRefused,
)
from actors.channels.port import Channel
from actors.channels.table import CHANNELS
from actors.core.kind import Kind
from actors.core.outputs import Outcome, Replied, TellRefused
from actors.tools.guards import model
from actors.tools.guards.looking import look
from actors.tools.messages import CallFinished, CallWaits
from events.agents import CONTEXT_EVENTS
from events.conversations import CONVERSATION_EVENTS
from events.envelope import Message

MESSAGES: Final = (
    OpenConversation, Post, InterruptTurn, CloseConversation, CheckTurn, TurnMayBegin, TurnRefused, CallFinished,
    CallWaits, SetVariable, DeclareVariable, RemoveVariable, ReadVariables, Outcome, Replied, TellRefused,
)  # fmt: skip

INNER: Final = (CheckTurn, TurnMayBegin, TurnRefused, CallFinished, CallWaits)

SNAPSHOT_EVERY: Final = 500
"""Events."""


def conversation_kind(look: Look = look, channels: Mapping[str, Channel] = CHANNELS) -> Kind:
    """The kind `conversation`; `look` is what guards say of a text, `channels` those that conversations may go through.

    Whoever lists a channel that is not pulled brings the performer of `channel-deliver` along.
    """

    ahead = Ahead()

    def decide(state: Conversation, message: Message) -> list[Any]:
        d = Decision(look, channels, state, message)
        _HANDLERS[message.data.__class__](d, message.data)
        ahead.remember(state, d)
        return [*d.events, *d.outs]

    return Kind(
        "conversation", state=Conversation, decide=decide, evolve=ahead.evolve, query=query, messages=MESSAGES,
        inner=INNER,
        events=(*CONVERSATION_EVENTS, *CONTEXT_EVENTS), questions=[DescribeConversation],
        snapshot_every=SNAPSHOT_EVERY, folded_by=(fold, turn_fold, state, plan, model),
    )  # fmt: skip


def query(state: Conversation, _question: DescribeConversation) -> Any:
    """Who talks to whom, the turn under way, and what waits."""
    return {
        "status": state.status, "agent": state.agent, "channel": state.channel, "version": state.version,
        "policy": state.policy, "turns": state.turns, "messages": state.messages, "turn": described(state),
        "waiting": [m.number for m in state.waiting], "outbox": [o.number for o in state.outbox],
        "unsure": state.unsure, "summarised": [state.summary.first, state.summary.last] if state.summary else [],
        "variables": {name: v.value for name, v in state.variables.items() if v.is_set},
    }  # fmt: skip


def _check(d: Decision, m: CheckTurn) -> None:
    """Its own timer. An idle conversation in which somebody waits goes on."""
    turn = d.state.turn
    if turn is None:
        begin_next(d)
    elif turn.number == m.turn and is_over(d):
        fail_turn(d, "timeout", "the turn took too long")
    elif turn.number == m.turn:
        look_again(d)


def _outcome(d: Decision, m: Outcome) -> None:
    what, _, ref = m.ref.partition(":")
    if what in _OUTCOMES:
        _OUTCOMES[what](d, ref, m)


def _replied(d: Decision, m: Replied) -> None:
    what, _, ref = m.ref.partition(":")
    if what in _REPLIES:
        _REPLIES[what](d, ref, m.data)


def _refused(d: Decision, m: TellRefused) -> None:
    what, _, ref = m.ref.partition(":")
    match what:
        case "admit":
            admission.refused(d, ref, m.code, m.reason)
        case "var":
            admission.variables_came(d, ref, None)
        case "budget":
            asking.budget_refused(d, ref, m.reason)
        case _:
            tool_uses.refused(d, m)


_OUTCOMES: Final[Mapping[str, Callable[[Decision, str, Outcome], None]]] = {
    "model": outcomes.came_back,
    "deliver": outbound.came_back,
    "guard": holding.came_back,
}

_REPLIES: Final[Mapping[str, Callable[[Decision, str, Any], None]]] = {
    "admit": admission.replied,
    "var": admission.variables_came,
    "budget": asking.budget_replied,
}

_HANDLERS: Final[Mapping[type[Any], Callable[[Decision, Any], None]]] = {
    OpenConversation: doors.open_conversation,
    Post: doors.post,
    InterruptTurn: doors.interrupt,
    CloseConversation: doors.close,
    CheckTurn: _check,
    TurnMayBegin: admission.may_begin,
    TurnRefused: admission.turned_away,
    CallFinished: tool_uses.finished,
    CallWaits: tool_uses.waits,
    SetVariable: doors.variable,
    DeclareVariable: doors.variable,
    RemoveVariable: doors.variable,
    ReadVariables: doors.variable,
    Outcome: _outcome,
    Replied: _replied,
    TellRefused: _refused,
}
