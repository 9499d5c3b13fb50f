"""The state of a conversation: what the next decision and the next prompt need, and no more.

Texts of turns that were summarised have left it; the log keeps them. Lists and maps in it are never changed, always
replaced: a decision tries its events on a shallow copy.
"""

from __future__ import annotations

from copy import copy
from typing import Any, Final

import msgspec

from actors.agents.definition.plan import AgentDefinition
from events.conversations import Citation
from events.models import ModelAnswer, ToolUse

RECENT: Final = 256
"""So many ids of messages are remembered: a repetition of one of them is answered like the first."""

LOST: Final = 16
"""So many model calls whose cost is not known are remembered, in case it becomes known."""

TRUSTED: Final = "trusted/public"


class Inbound(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message that was received, as long as its turn is not over."""

    number: int
    id: str
    sender: str
    text: str
    label: str
    attachments: list[Any] = []
    asker: str = ""
    ref: str = ""
    cause: str = ""
    blocked: bool = False
    held: bool = False
    """A guard has not decided about it yet."""
    run: str = ""
    variables: dict[str, Any] = {}
    requesters: list[str] = []


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the model and tools said in a turn, in order. `kind`: answer (of the model), result (of a tool), rejection
    (why the model is asked again)."""

    kind: str
    step: int
    text: str = ""
    uses: list[ToolUse] = []
    ordinal: int = 0
    use: str = ""
    name: str = ""
    label: str = TRUSTED


class ToolCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool the model wants, until it is answered. With `approval`, people have to agree first."""

    ordinal: int
    step: int
    use: str
    tool: str
    call: str
    approval: str = ""


class OpenCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model call whose outcome is not known. `lost`: nobody waits for it; its estimate was counted."""

    call: str
    turn: int
    step: int
    attempt: int
    estimate: str
    budgets: list[str] = []
    lost: bool = False


class Turn(msgspec.Struct, omit_defaults=True):
    """The turn under way.

    `phase`: admission, admitted (variables may be missing), assembled, budget, model, answered, tools, replied, or the
    edge (inbound, prompt, output, outbound) at which a guard holds it. `progress` is when something last happened,
    `waited` how long people were waited for (µs).
    """

    number: int
    messages: list[Inbound]
    started: int
    cause: str = ""
    admitted: int = 0
    phase: str = "admission"
    step: int = 0
    attempt: int = 0
    tried: int = 0
    """Attempts of this step that gave no answer."""
    ordinal: int = 0
    entries: list[Entry] = []
    tools: list[ToolCall] = []
    """Those that are not answered."""
    used: list[str] = []
    """Names of tools, for the record of the turn."""
    answer: ModelAnswer | None = None
    variables: dict[str, dict[str, Any]] = {}
    shown: dict[str, Any] = {}
    """The context variables in the prompt of this step."""
    label: str = TRUSTED
    reply: str = ""
    reply_label: str = ""
    citations: list[Citation] = []
    progress: int = 0
    stuck: bool = False
    waits_since: int = 0
    waited: int = 0
    rejected: int = 0
    shrunk: int = 0
    """How often a model said that the prompt is too long: each time the window is halved."""
    usage: dict[str, int] = {}
    cost: str | None = "0"
    model_calls: int = 0
    tool_calls: int = 0


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody wrote in a turn that is over."""

    number: int
    text: str
    label: str = TRUSTED


class Past(msgspec.Struct, frozen=True, omit_defaults=True):
    """A turn that is over, as later prompts show it."""

    turn: int
    said: list[Said]
    status: str = "replied"
    text: str = ""
    label: str = TRUSTED
    tools: list[str] = []


class Summary(msgspec.Struct, frozen=True):
    """What takes the place of old turns in prompts."""

    first: int
    last: int
    text: str
    label: str


class Held(msgspec.Struct, frozen=True, omit_defaults=True):
    """A context variable of this conversation: its declaration and, when it is set, its value."""

    schema: dict[str, Any] = {}
    merge: str = "last"
    secret: bool = False
    value: Any = None
    is_set: bool = False


class Outbound(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be sent, until the channel has it. The first of them is under way."""

    number: int
    turn: int
    kind: str
    text: str
    data: Any = None
    attempt: int = 0


class Conversation(msgspec.Struct, omit_defaults=True):
    """`status`: new, open, closed."""

    status: str = "new"
    agent: str = ""
    channel: str = ""
    by: str = ""
    title: str = ""
    policy: str = ""
    parent: str = ""
    version: int = 0
    hash: str = ""
    definition: AgentDefinition | None = None
    messages: int = 0
    recent: list[str] = []
    waiting: list[Inbound] = []
    turns: int = 0
    turn: Turn | None = None
    history: list[Past] = []
    summary: Summary | None = None
    calls: list[OpenCall] = []
    variables: dict[str, Held] = {}
    sent: int = 0
    outbox: list[Outbound] = []
    unsure: list[int] = []
    """Numbers of what the channel may have or not."""


def requesters_of(turn: Turn) -> list[str]:
    """Everybody in whose name a turn is taken: who wrote its messages, and who had them written."""
    return list(dict.fromkeys(name for m in turn.messages for name in (m.requesters or [m.sender])))


def run_of(turn: Turn) -> str:
    """The run whose context variables a turn sees: of several that ask, the one that asked last."""
    return next((m.run for m in reversed(turn.messages) if m.run), "")


def scratch(state: Conversation) -> Conversation:
    """A copy on which events can be tried."""
    tried = copy(state)
    if tried.turn is not None:
        tried.turn = copy(tried.turn)
    return tried


def definition_of(state: Conversation) -> AgentDefinition:
    """The definition turns are taken by. There is one as soon as a turn was admitted."""
    assert state.definition is not None
    return state.definition
