"""What people and other actors ask of a conversation: open, write, interrupt, close, and its variables."""

from __future__ import annotations

import re
from typing import Final

from actors.agents.conversation.decision import Decision
from actors.agents.conversation.ending import begin_next, end_turn, is_actor, policy_of, turn_away
from actors.agents.conversation.watching import limits_of
from actors.agents.definition.plan import DOUBLE_TEXTING
from actors.agents.messages import (
    CloseConversation,
    DeclareVariable,
    InterruptTurn,
    OpenConversation,
    Post,
    ReadVariables,
    RemoveVariable,
    SetVariable,
)
from actors.agents.variables import Declared, Variables
from actors.agents.variables import decide as decide_variables
from actors.core.outputs import Reply
from actors.tools.labels import parse
from events.address import split
from events.conversations import ConversationClosed, ConversationOpened, MessageReceived
from events.errors import InvalidData, InvalidName, Refused

LONGEST_ID: Final = 200
_CHANNEL: Final = re.compile(r"[a-z][a-z0-9_-]*(:[A-Za-z0-9._~@+-]{1,100})?")
"""A channel, and an account of it."""


def open_conversation(d: Decision, m: OpenConversation) -> None:
    """Begin, once."""
    if d.state.status == "new":
        _open(d, m.agent, m.channel, m.policy, m.title, m.parent)
    elif m.agent != d.state.agent:
        raise Refused(f"{d.address} talks to {d.state.agent}", code="exists")
    d.out(Reply({"conversation": d.id, "agent": d.state.agent}))


def _open(d: Decision, agent: str, channel: str, policy: str, title: str, parent: str) -> None:
    try:
        split(f"agent/{agent}")
    except InvalidName as error:
        raise Refused(str(error), code="agent") from None
    if channel.partition(":")[0] not in d.channels or not _CHANNEL.fullmatch(channel):
        raise Refused(f"there is no channel {channel[:60]!r} here", code="channel")
    if policy and policy not in DOUBLE_TEXTING:
        raise Refused(f"{policy!r} is not one of {', '.join(DOUBLE_TEXTING)}", code="policy")
    d.emit(ConversationOpened(agent, channel, d.now, d.message.sender, title, policy, parent))


def post(d: Decision, m: Post) -> None:
    """Somebody writes. Raises Refused."""
    state = d.state
    id = m.id or d.message.id
    if id in state.recent:
        number = state.messages - len(state.recent) + 1 + state.recent.index(id)
        d.out(Reply({"number": number, "turn": _turn_of(d, number), "status": "repeated"}))
        return
    if state.status == "new":
        if not m.agent:
            raise Refused(f"there is no {d.address}; name an agent to begin it", code="not-found")
        _open(d, m.agent, m.channel, "", "", m.parent)
    elif m.agent and m.agent != state.agent:
        raise Refused(f"{d.address} talks to {state.agent}", code="exists")
    _receive(d, m, id)


def _receive(d: Decision, m: Post, id: str) -> None:
    state = d.state
    policy = policy_of(d)
    if state.status == "closed":
        raise Refused("the conversation is closed", code="closed")
    if len(id) > LONGEST_ID or not (m.text.strip() or m.attachments):
        raise Refused("there is nothing to answer" if len(id) <= LONGEST_ID else "the id is too long", code="message")
    if m.label:
        try:
            parse(m.label)
        except InvalidData as error:
            raise Refused(str(error), code="label") from None
    if state.turn is not None and policy == "reject":
        raise Refused(f"turn {state.turn.number} is under way", code="busy")
    if len(state.waiting) >= limits_of(state).waiting:
        raise Refused(f"{len(state.waiting)} messages wait for their turn", code="full")
    by_actor = is_actor(d.message.sender)
    _of_a_step(m, by_actor)
    label = m.label or ("untrusted/private" if by_actor else "trusted/private")
    # People speak for themselves; an actor (a channel) says who wrote.
    sender = m.sender if by_actor and m.sender else d.message.sender
    received = MessageReceived(
        state.messages + 1, id, sender, m.text, d.now, label,
        m.attachments, d.message.sender if by_actor else "", m.ref, m.cause or d.message.correlation,
        m.run, m.variables, m.requesters,
    )  # fmt: skip
    d.emit(received)
    if state.turn is not None and policy == "interrupt":
        end_turn(d, "interrupted", "double-texting", "another message came")
    else:
        begin_next(d)
    turn = _turn_of(d, received.number)
    d.out(Reply({"number": received.number, "turn": turn, "status": "started" if turn else "waiting"}))


def _of_a_step(m: Post, by_actor: bool) -> None:
    """A run, variables of a step and others' names come with what an actor posts, and nobody else's."""
    if not by_actor and (m.run or m.variables):
        raise Refused("a run and variables of a step come with the messages of steps alone", code="variables")
    if not by_actor and m.requesters:
        raise Refused(f"nobody can write in the name of {', '.join(m.requesters)}", code="speaker")
    if not by_actor and m.cause:
        raise Refused("what started it all is this message: nobody can name another cause", code="cause")
    if m.run:
        try:
            kind, _ = split(m.run)
        except InvalidName as error:
            raise Refused(str(error), code="variables") from None
        if kind != "run":
            raise Refused(f"{m.run} is no run", code="variables")


def _turn_of(d: Decision, number: int) -> int:
    """The turn that answers a message, if it is under way; else 0."""
    turn = d.state.turn
    return turn.number if turn is not None and any(m.number == number for m in turn.messages) else 0


def interrupt(d: Decision, m: InterruptTurn) -> None:
    """Stop the turn under way."""
    turn = d.state.turn
    if turn is None or m.turn not in (0, turn.number):
        d.out(Reply({"interrupted": False, "turn": turn.number if turn is not None else 0}))
        return
    end_turn(d, "interrupted", "interrupted", m.reason or f"interrupted by {m.by or d.message.sender}")
    d.out(Reply({"interrupted": True, "turn": turn.number}))


def close(d: Decision, m: CloseConversation) -> None:
    """Take no message any more; what waits is turned away."""
    if d.state.status == "new":
        raise Refused(f"there is no {d.address}", code="not-found")
    if d.state.status == "open":
        for message in list(d.state.waiting):
            turn_away(d, message, "closed", m.reason or "the conversation was closed")
        if d.state.turn is not None:
            end_turn(d, "cancelled", "closed", m.reason or "the conversation was closed")
        d.emit(ConversationClosed(d.now, m.by or d.message.sender, m.reason))
    d.out(Reply({"status": "closed"}))


def variable(d: Decision, _m: SetVariable | DeclareVariable | RemoveVariable | ReadVariables) -> None:
    """Context variables of this conversation follow the rules of all others."""
    if d.state.status == "new":
        raise Refused(f"there is no {d.address}", code="not-found")
    own = Variables(
        {name: Declared(v.schema, v.merge, v.secret) for name, v in d.state.variables.items()},
        {name: v.value for name, v in d.state.variables.items() if v.is_set},
    )
    for output in decide_variables(own, d.message):
        if isinstance(output, Reply):
            d.out(output)
        else:
            d.emit(output)
