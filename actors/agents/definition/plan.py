"""The definition of an agent as turns are taken by it: nothing in it needs a file, a clock or a registry any more."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

import msgspec

from events.models import ToolSpec

TEMPLATE: Final = "1"
"""The newest way in which prompts are put together. A released one is never changed."""

EDGES: Final = ("inbound", "prompt", "output", "tool-call", "tool-result", "outbound")
"""Where guards look."""

DOUBLE_TEXTING: Final = ("enqueue", "merge", "interrupt", "reject")
"""What becomes of a message that comes during a turn."""


class GuardRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule on an edge. `mode`: block, hold (until the verdict of a guard that needs a model), observe, redact."""

    rule: str
    mode: str = "block"
    options: dict[str, Any] = {}


class Variable(msgspec.Struct, frozen=True, omit_defaults=True):
    """A context variable that an agent uses. `schema` is JSON Schema, `default` what it is while nobody has set it.

    A secret's value is a reference (`vault:NAME`, `env:NAME`): tools resolve it, models are never shown it.
    """

    schema: dict[str, Any] = {}
    default: Any = msgspec.UNSET
    secret: bool = False
    merge: str = "last"


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a turn may go. Times in seconds; `waiting` messages at most wait, `at_once` turns of the agent go on,
    `queue` more are in line. After `stuck_turns` turns in a row that made no progress the agent is quarantined (0:
    never).

    `context_tokens` is the whole prompt; `sections` are budgets of single parts by name (variables, summary, history,
    message, results). When history is longer than `compact_above` tokens (0: its budget), old turns are summarised.
    """

    max_steps: int = 12
    max_tool_calls: int = 32
    turn_timeout: float = 600.0
    stuck_after: float = 120.0
    waiting: int = 100
    at_once: int = 64
    reasks: int = 2
    context_tokens: int = 32_000
    sections: dict[str, int] = {}
    compact_above: int = 0
    queue: int = 10_000
    stuck_turns: int = 5


class Budgets(msgspec.Struct, frozen=True, omit_defaults=True):
    """Limits in dollars, as decimals, by scope; None: no reservation is made there. `cause` is whatever started
    it all: the correlation that a turn shares with all that leads to it and follows from it. `periods` by scope:
    total (the default), day (UTC), month.
    """

    tenant: str | None = None
    agent: str | None = None
    conversation: str | None = None
    cause: str | None = None
    periods: dict[str, str] = {}


class AgentDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """An agent. `models` are `provider:model`, the first preferred; `tools` names and globs, `tool_specs` what they
    came to when the version was published. `visible` are the context variables the model is shown, by name or
    `scope.name`. `output_schema` is the JSON Schema of its answers, if they are data.

    `summary`: extract (deterministic) or model (a call of its own) makes the summary of old turns. `estimate` is what
    one model call is thought to cost in dollars, for reservations, when prices are not known here.
    """

    name: str
    description: str = ""
    instructions: str = ""
    models: list[str] = []
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    tools: list[str] = []
    tool_specs: list[ToolSpec] = []
    guards: dict[str, list[GuardRule]] = {}
    limits: Limits = Limits()
    output_schema: dict[str, Any] | None = None
    double_texting: str = "enqueue"
    visible: list[str] = []
    roles: list[str] = []
    budgets: Budgets = Budgets()
    template: str = TEMPLATE
    scripted: bool = False
    """Its models are the scripted one: every surface says so."""
    summary: str = "extract"
    estimate: str = "0.05"
    rates: dict[str, tuple[str, str]] = {}
    """Dollars per million tokens (input, output) by model, as known when the version was published, for estimates."""
    stream: bool = True
    files: list[str] = []
    """Folders its file tools may look at, relative to the workspace."""
    agents: list[str] = []
    """Agents it may call as tools."""
    variables: dict[str, Variable] = {}
    """The context variables it uses, named as in `visible`; those that are secrets are not visible."""
    tool_roles: dict[str, dict[str, str]] = {}
    """What the arguments of each tool decide, as `ToolDefinition.roles`, when the version was published."""
    metadata: dict[str, Any] = {}


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(AgentDefinition).decode


def encode_definition(definition: AgentDefinition) -> bytes:
    """Canonical JSON: equal definitions have equal bytes."""
    return _encode(definition)


def decode_definition(data: bytes | msgspec.Raw) -> AgentDefinition:
    """A definition from its JSON. Raises msgspec.DecodeError."""
    return _decode(data)


def hash_of(definition: AgentDefinition) -> str:
    """What names a version's content: BLAKE2b of its canonical JSON, in hexadecimal."""
    return blake2b(_encode(definition), digest_size=16).hexdigest()
