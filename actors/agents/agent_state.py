"""The state of an agent, and how its versions are read."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from actors.agents.definition.plan import AgentDefinition, Limits, decode_definition
from actors.agents.lifecycle import moved
from events.agents import AgentMoved
from events.envelope import Message

AGENT_START: Final = "agent-start"
"""The name of the effect kind."""


class StartAgent(msgspec.Struct, frozen=True, omit_defaults=True):
    """The request of `agent-start`: are these models and tools there?"""

    agent: str
    version: int
    models: list[str]
    tools: list[str] = []


class AgentChecked(msgspec.Struct, frozen=True):
    """Its result: what is missing; nothing when the agent can start."""

    problems: list[str]


class Version(msgspec.Struct, frozen=True):
    """One published version, as it is stored."""

    hash: str
    definition: msgspec.Raw
    at: int
    by: str = ""


class Waiting(msgspec.Struct, frozen=True, omit_defaults=True):
    """A turn in line."""

    turn: int
    ref: str
    known: str = ""


class Agent(msgspec.Struct, omit_defaults=True):
    """`life` is its state, ready also while it is busy. Turns are taken by version `current`.

    `active` has (turn, version) and `queue` who waits, by conversation; `stuck` the turns that made no progress since
    one was replied to.
    """

    life: str = "defined"
    newest: int = 0
    current: int = 0
    versions: dict[str, Version] = {}
    active: dict[str, tuple[int, int]] = {}
    queue: dict[str, Waiting] = {}
    stuck: list[str] = []
    reason: str = ""


def life_of(state: Agent) -> str:
    """The state of its life: busy while turns go on."""
    return "busy" if state.life == "ready" and state.active else state.life


_definitions: dict[str, AgentDefinition] = {}


def definition_of(version: Version) -> AgentDefinition:
    """The definition of a version, opened; kept by its hash."""
    found = _definitions.get(version.hash)
    if found is None:
        if len(_definitions) >= 500:
            _definitions.clear()
        found = _definitions[version.hash] = decode_definition(version.definition)
    return found


def limits_of(state: Agent) -> Limits:
    """Those of the version by which turns are taken."""
    return definition_of(state.versions[str(state.current or state.newest)]).limits


def move(state: Agent, trigger: str, message: Message, by: str = "", reason: str = "", version: int = 0) -> list[Any]:
    """The event of a move. Raises Refused when it is illegal."""
    source = life_of(state)
    return [AgentMoved(source, moved(source, trigger), trigger, message.time, by, reason, version)]


def drained(message: Message) -> AgentMoved:
    """An agent that drains has nothing left to do."""
    return AgentMoved("draining", moved("draining", "drained"), "drained", message.time)
