"""Turns of an agent: who is let in, who waits, who is next, and which make no progress."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from actors.agents.agent_state import Agent, definition_of, drained, life_of, limits_of, move
from actors.agents.lifecycle import TAKING
from actors.agents.messages import AdmitTurn, TurnAway, TurnIsStuck, TurnMayBegin, TurnOver, TurnRefused
from actors.core.outputs import Reply, Tell, TellRefused
from events.agents import AgentTurnAdmitted, AgentTurnEnded, AgentTurnQueued, AgentTurnStuck
from events.envelope import Message
from events.errors import Refused

REFUSED_AT_ONCE: Final = 500
"""Turns in line that one decision refuses; the next one goes on with the others."""

OUT: Final = frozenset(("stopped", "failed", "quarantined"))
"""Where nobody waits in line."""


def admit(state: Agent, m: AdmitTurn, message: Message) -> list[Any]:
    """A conversation wants to take a turn."""
    if not state.newest:
        raise Refused(f"there is no {message.to}", code="not-found")
    under_way = state.active.get(m.conversation)
    if under_way is not None and under_way[0] == m.turn:
        return [Reply(_answer(state, under_way[1], m.known))]
    waiting = state.queue.get(m.conversation)
    if waiting is not None and waiting.turn == m.turn:
        return [Reply({"admitted": False})]
    if life_of(state) not in (*TAKING, "starting"):
        raise Refused(not_ready(message.to, state.life, state.reason), code="not-ready")
    gone: list[Any] = []
    if under_way is not None:  # its end was never told
        gone = [AgentTurnEnded(m.conversation, under_way[0], "replaced", message.time)]
    limits = limits_of(state)
    room = state.life == "ready" and not state.queue and len(state.active) - len(gone) < limits.at_once
    if room:
        admitted = AgentTurnAdmitted(m.conversation, m.turn, state.current, message.time)
        return [*gone, admitted, Reply(_answer(state, state.current, m.known))]
    if len(state.queue) >= limits.queue:
        raise Refused(f"{len(state.queue)} turns of {message.to} wait; try again later", code="busy")
    queued = AgentTurnQueued(m.conversation, m.turn, m.ref, message.time, m.known)
    return [*gone, queued, Reply({"admitted": False})]


def not_ready(agent: str, life: str, reason: str) -> str:
    """Why an agent takes no turn."""
    return f"{agent} is {life}: {reason}" if reason else f"{agent} is {life}"


def clear_line(state: Agent, life: str, reason: str, message: Message) -> list[Any]:
    """The agent takes no turns any more: those in line are refused, and told why."""
    outs: list[Any] = []
    for conversation, waiting in list(state.queue.items())[:REFUSED_AT_ONCE]:
        refused = TurnRefused(waiting.ref, "not-ready", not_ready(message.to, life, reason))
        outs.append(AgentTurnEnded(conversation, waiting.turn, "refused", message.time))
        outs.append(Tell(_asker(conversation), refused))
    if len(state.queue) > REFUSED_AT_ONCE:
        outs.append(Tell(message.to, TurnAway()))
    return outs


def clear_more(state: Agent, _m: TurnAway, message: Message) -> list[Any]:
    """There were more in line; unless the agent was started meanwhile, they are refused too."""
    return clear_line(state, state.life, state.reason, message) if state.life in OUT else []


def _asker(conversation: str) -> str:
    return conversation if "/" in conversation else f"conversation/{conversation}"


def _answer(state: Agent, number: int, known: str) -> dict[str, Any]:
    version = state.versions.get(str(number))
    if version is None:
        raise Refused(f"version {number} is not kept any more", code="version")
    found: dict[str, Any] = {"admitted": True, "version": number, "hash": version.hash}
    if version.hash != known:
        found["definition"] = version.definition
    return found


def over(state: Agent, m: TurnOver, message: Message) -> list[Any]:
    """A turn ended, or left the line: the next may begin."""
    under_way, waiting = state.active.get(m.conversation), state.queue.get(m.conversation)
    ended: list[Any] = [AgentTurnEnded(m.conversation, m.turn, m.status, message.time)]
    if under_way is not None and under_way[0] == m.turn:
        on = state.life in ("ready", "draining")
        return [*ended, *(let_in(state, state.current, message, gone=m.conversation) if on else [])]
    if waiting is not None and waiting.turn == m.turn:
        last = state.life == "draining" and not state.active and len(state.queue) == 1
        return [*ended, *([drained(message)] if last else [])]
    return []


def let_in(state: Agent, number: int, message: Message, gone: str = "") -> list[Any]:
    """Let in as many of those in line as there is room for, by a version; an agent that drained is stopped."""
    version = state.versions[str(number)]
    active = len(state.active) - (gone in state.active)
    room = definition_of(version).limits.at_once - active
    outs: list[Any] = []
    for conversation, waiting in list(state.queue.items())[: max(room, 0)]:
        definition = msgspec.Raw(b"null") if waiting.known == version.hash else version.definition
        outs.append(AgentTurnAdmitted(conversation, waiting.turn, number, message.time))
        outs.append(Tell(_asker(conversation), TurnMayBegin(waiting.ref, number, version.hash, definition)))
    if state.life == "draining" and not active and not state.queue:
        outs.append(drained(message))
    return outs


def stuck(state: Agent, m: TurnIsStuck, message: Message) -> list[Any]:
    """A turn makes no progress. Too many in a row, and the agent is quarantined."""
    under_way = state.active.get(m.conversation)
    if under_way is None or under_way[0] != m.turn or f"{m.conversation} {m.turn}" in state.stuck:
        return []
    outs: list[Any] = [AgentTurnStuck(m.conversation, m.turn, m.since, message.time)]
    most, now = limits_of(state).stuck_turns, len(state.stuck) + 1
    if most and now >= most and state.life in ("ready", "draining", "starting"):
        why = f"{now} turns in a row made no progress"
        outs += [*move(state, "quarantine", message, reason=why), *clear_line(state, "quarantined", why, message)]
    return outs


def turned_away(state: Agent, m: TellRefused, message: Message) -> list[Any]:
    """A conversation does not want the turn it waited for any more."""
    conversation = m.by.partition("/")[2]
    under_way = state.active.get(conversation)
    if m.message_type != "TurnMayBegin" or under_way is None:
        return []
    return over(state, TurnOver(conversation, under_way[0], "refused"), message)
