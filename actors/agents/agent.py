"""The actor kind `agent` (`agent/<name>`): versions of a definition, a life, and who may take a turn.

A version is used once `agent-start` found its models and tools; until then turns go on by the one before, and a turn
under way always ends on the version it began with. As many turns as `limits.at_once` go on at once; the others are
taken in the order they came, each conversation with one.

Draining, it takes the turns under way and in line, and no others. When it is stopped, is quarantined or cannot start,
the turns under way go on to their end, and those in line are refused like any that come then, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from actors.agents.admission import OUT, admit, clear_line, clear_more, let_in, over, stuck, turned_away
from actors.agents.agent_state import (
    AGENT_START,
    Agent,
    AgentChecked,
    StartAgent,
    Version,
    Waiting,
    definition_of,
    drained,
    life_of,
    move,
)
from actors.agents.definition.plan import AgentDefinition, decode_definition, hash_of
from actors.agents.lifecycle import OPERATED
from actors.agents.messages import (
    AdmitTurn,
    DescribeAgent,
    MoveAgent,
    PublishAgent,
    SetBudget,
    TurnAway,
    TurnIsStuck,
    TurnOver,
)
from actors.core.kind import Kind
from actors.core.outputs import Effect, Outcome, Reply, Tell, TellRefused
from events.agents import (
    AGENT_EVENTS,
    AgentMoved,
    AgentPublished,
    AgentTurnAdmitted,
    AgentTurnEnded,
    AgentTurnQueued,
    AgentTurnStuck,
)
from events.envelope import Message
from events.errors import Refused

KEPT: Final = 20
"""Versions that are kept here: the newest ones. The log has them all."""


def decide(state: Agent, message: Message) -> list[Any]:
    """What an agent makes of a message."""
    return _DECISIONS[message.data.__class__](state, message.data, message)


# -- versions


def _publish(state: Agent, m: PublishAgent, message: Message) -> list[Any]:
    name = message.to.partition("/")[2]
    try:
        definition = decode_definition(m.definition)
    except msgspec.DecodeError as error:
        raise Refused(f"this is no definition of an agent: {error}", code="definition") from None
    if definition.name != name:
        raise Refused(f"the definition is called {definition.name!r}, not {name!r}", code="name")
    if hash_of(definition) != m.hash:
        raise Refused("the hash is not that of the definition", code="hash")
    newest, by = state.versions.get(str(state.newest)), m.by or message.sender
    if newest is not None and newest.hash == m.hash:
        again: list[Any] = []
        if state.life == "failed":  # what was missing may be there by now
            again = [*move(state, "start", message, by), _start(name, state.newest, definition)]
        return [*again, Reply({"name": name, "version": state.newest, "hash": m.hash, "published": False})]
    number = state.newest + 1
    outs: list[Any] = [AgentPublished(number, m.hash, m.definition, m.source, message.time, by)]
    if state.life in ("defined", "failed"):
        outs += move(state, "start", message, by)
    if state.life in ("defined", "failed", "starting", "ready"):
        outs.append(_start(name, number, definition))
    outs += _budgets(definition_of(newest) if newest is not None else AgentDefinition(name), definition, message)
    return [*outs, Reply({"name": name, "version": number, "hash": m.hash, "published": True})]


def _start(name: str, version: int, definition: AgentDefinition) -> Effect:
    tools = [spec.name for spec in definition.tool_specs]
    return Effect(AGENT_START, StartAgent(name, version, definition.models, tools), ref=f"start:{version}")


def _budgets(before: AgentDefinition, now: AgentDefinition, message: Message) -> list[Any]:
    """Tell the budgets of the agent and of its tenant what this version says of them."""
    outs: list[Any] = []
    for scope, id in (("agent", now.name), ("tenant", message.tenant)):
        was, new = getattr(before.budgets, scope), getattr(now.budgets, scope)
        period = now.budgets.periods.get(scope, "total")
        if (was, before.budgets.periods.get(scope, "total")) != (new, period):
            outs.append(Tell(f"budget/{scope}.{id}", SetBudget(new, period, message.to)))
    return outs


def _outcome(state: Agent, m: Outcome, message: Message) -> list[Any]:
    """Whether a version can be used. One about which something newer is asked does not count."""
    if m.kind != AGENT_START or m.ref != f"start:{state.newest}":
        return []
    problems = _problems(m)
    if state.life == "starting" and problems:
        reason = "; ".join(problems)
        return [*move(state, "fail", message, reason=reason), *clear_line(state, "failed", reason, message)]
    if state.life == "starting":
        return [*move(state, "started", message, version=state.newest), *let_in(state, state.newest, message)]
    if state.life not in ("ready", "draining") or state.current == state.newest:
        return []
    if problems:
        return move(state, "reject", message, reason="; ".join(problems))
    return [*move(state, "reload", message, version=state.newest), *let_in(state, state.newest, message)]


def _problems(m: Outcome) -> list[str]:
    if m.status != "succeeded":
        return [m.error or f"the check is {m.status}"]
    try:
        return msgspec.convert(m.result, AgentChecked).problems
    except msgspec.ValidationError as error:
        return [f"the check answered {error}"]


# -- its life


def _move(state: Agent, m: MoveAgent, message: Message) -> list[Any]:
    if m.trigger not in OPERATED:
        raise Refused(f"{m.trigger!r} is not one of {', '.join(OPERATED)}", code="illegal")
    if not state.newest:
        raise Refused(f"there is no {message.to}", code="not-found")
    outs = move(state, m.trigger, message, m.by or message.sender, m.reason)
    target = outs[0].target
    if target == "starting":
        newest = definition_of(state.versions[str(state.newest)])
        outs.append(_start(message.to.partition("/")[2], state.newest, newest))
    if target == "draining" and not state.active and not state.queue:
        outs.append(drained(message))
        target = "stopped"
    if target in OUT and state.queue:
        outs += clear_line(state, target, m.reason, message)
        return [*outs, Reply({"state": target, "refused": len(state.queue)})]
    return [*outs, Reply({"state": target})]


_DECISIONS: Final[Mapping[type[Any], Callable[[Agent, Any, Message], list[Any]]]] = {
    PublishAgent: _publish,
    AdmitTurn: admit,
    TurnOver: over,
    TurnIsStuck: stuck,
    MoveAgent: _move,
    Outcome: _outcome,
    TellRefused: turned_away,
    TurnAway: clear_more,
}


def evolve(state: Agent, event: Any) -> Agent:
    """What an event makes of an agent."""
    match event:
        case AgentTurnAdmitted(conversation, turn, version):
            state.queue.pop(conversation, None)
            state.active[conversation] = (turn, version)
        case AgentTurnQueued(conversation, turn, ref, _, known):
            state.queue[conversation] = Waiting(turn, ref, known)
        case AgentTurnEnded(conversation, turn, status):
            if state.active.get(conversation, (0, 0))[0] == turn:
                del state.active[conversation]
            elif conversation in state.queue and state.queue[conversation].turn == turn:
                del state.queue[conversation]
            if status == "replied":
                state.stuck = []
        case AgentTurnStuck(conversation, turn):
            state.stuck.append(f"{conversation} {turn}")
        case AgentPublished():
            state.newest = event.version
            # A copy: the bytes of the event may be part of a larger buffer.
            state.versions[str(event.version)] = Version(event.hash, event.definition.copy(), event.at, event.by)
            if event.version - KEPT != state.current:
                state.versions.pop(str(event.version - KEPT), None)
        case AgentMoved():
            state.life = "ready" if event.target == "busy" else event.target
            state.current = event.version or state.current
            state.reason = event.reason
            if event.trigger in ("start", "release"):
                state.stuck = []
        case _:
            pass
    return state


def query(state: Agent, question: DescribeAgent) -> Any:
    """A version, the state of life, turns under way and in line. Raises Refused for an unknown version."""
    if not state.newest:
        raise Refused("there is no such agent", code="not-found")
    number = state.newest if question.version is None else question.version
    version = state.versions.get(str(number))
    if version is None:
        raise Refused(f"there is no version {number}", code="version")
    versions = [{"version": int(n), "hash": v.hash, "at": v.at, "by": v.by} for n, v in state.versions.items()]
    return {
        "version": number, "hash": version.hash, "definition": version.definition, "newest": state.newest,
        "current": state.current, "state": life_of(state), "reason": state.reason, "versions": versions,
        "active": {c: turn for c, (turn, _) in state.active.items()}, "queued": list(state.queue), "stuck": state.stuck,
    }  # fmt: skip


agent = Kind(
    "agent", state=Agent, decide=decide, evolve=evolve, query=query, questions=[DescribeAgent],
    inner=[AdmitTurn, TurnOver, TurnIsStuck, TurnAway],
    messages=[PublishAgent, AdmitTurn, TurnOver, TurnIsStuck, TurnAway, MoveAgent, Outcome, TellRefused],
    events=AGENT_EVENTS, snapshot_every=1000,
)  # fmt: skip
