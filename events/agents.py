"""Agents as a story: versions of a definition are published, the agent starts, takes turns, drains, stops or fails.

The states of its life are defined, starting, ready, busy, draining, stopped, failed, quarantined. Times are µs since
1970 (UTC).
"""

from __future__ import annotations

from typing import Any

import msgspec


class AgentPublished(msgspec.Struct, frozen=True, omit_defaults=True):
    """A new version. `definition` is what turns are taken by, `source` the text it was made from."""

    version: int
    hash: str
    definition: msgspec.Raw
    source: str
    at: int
    by: str = ""


class AgentMoved(msgspec.Struct, frozen=True, omit_defaults=True):
    """The agent went from one state of its life to another. `version` is the one that turns are taken by from now on
    (0: as before). That it is busy is not said: it is while turns go on."""

    source: str
    target: str
    trigger: str
    at: int
    by: str = ""
    reason: str = ""
    version: int = 0


class AgentTurnAdmitted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A conversation may take a turn, by this version."""

    conversation: str
    turn: int
    version: int
    at: int


class AgentTurnQueued(msgspec.Struct, frozen=True, omit_defaults=True):
    """As many turns as may be taken at once are: this one waits. `ref` is what the asker calls it, `known` the hash of
    the definition it has."""

    conversation: str
    turn: int
    ref: str
    at: int
    known: str = ""


class AgentTurnEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """A turn ended, or left the line: replied, failed, interrupted, cancelled, stuck, refused (the agent
    takes none any more)."""

    conversation: str
    turn: int
    status: str
    at: int


class AgentTurnStuck(msgspec.Struct, frozen=True, omit_defaults=True):
    """A turn has made no progress for longer than the definition allows."""

    conversation: str
    turn: int
    since: int
    at: int


AGENT_EVENTS = (AgentPublished, AgentMoved, AgentTurnAdmitted, AgentTurnQueued, AgentTurnEnded, AgentTurnStuck)


class VariableDeclared(msgspec.Struct, frozen=True, omit_defaults=True):
    """A context variable of this scope has a type (JSON Schema) and a rule by which concurrent updates are merged."""

    name: str
    schema: dict[str, Any]
    merge: str = "last"
    secret: bool = False
    at: int = 0
    by: str = ""


class VariableSet(msgspec.Struct, frozen=True, omit_defaults=True):
    """A context variable has a value; `value` is what the merge came to, `given` what was said. Never a secret's."""

    name: str
    value: Any
    given: Any = None
    at: int = 0
    by: str = ""


class VariableRemoved(msgspec.Struct, frozen=True, omit_defaults=True):
    """A context variable has no value any more."""

    name: str
    at: int = 0
    by: str = ""


CONTEXT_EVENTS = (VariableDeclared, VariableSet, VariableRemoved)


class BudgetSet(msgspec.Struct, frozen=True, omit_defaults=True):
    """So many dollars may be spent here: `period` is total, day (UTC) or month. `usd` is a decimal; None: no limit."""

    usd: str | None
    period: str = "total"
    at: int = 0
    by: str = ""


class BudgetReserved(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call may be made that is thought to cost `usd`."""

    holder: str
    usd: str
    at: int
    by: str = ""


class BudgetRefused(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nothing is left for a call."""

    holder: str
    usd: str
    left: str
    at: int
    by: str = ""


class BudgetSettled(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call cost `usd`. `estimated`: nobody knows, so the estimate counts. `freed` is what was set aside for it,
    `instead` the estimate that counted until now."""

    holder: str
    usd: str
    at: int
    estimated: bool = False
    freed: str = ""
    instead: str = ""


BUDGET_EVENTS = (BudgetSet, BudgetReserved, BudgetRefused, BudgetSettled)


class InquiryMade(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step of a workflow (or whoever is no actor) asks an agent something and waits. `conversation` is where."""

    agent: str
    conversation: str
    message: str
    at: int
    by: str = ""
    run: str = ""
    variables: dict[str, Any] = {}
    """Context variables of the step that asks; those of `run` count too."""


class InquiryAnswered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of it. `status`: replied, failed, interrupted, cancelled, refused; `cost` None when it is unknown."""

    status: str
    at: int
    turn: int = 0
    text: str = ""
    data: Any = None
    label: str = "untrusted/private"
    reason: str = ""
    usage: dict[str, int] = {}
    cost: str | None = None


INQUIRY_EVENTS = (InquiryMade, InquiryAnswered)
