"""Conversations as a story: somebody writes, the agent takes a turn, the answer is sent and arrives.

A turn: received → admitted → context assembled → model asked → model answered → tools asked → tools answered → … →
replied. `turn` counts from 1, `step` counts the model calls of a turn from 1. Times are µs since 1970 (UTC). Labels
are `trusted`/`untrusted` and `public`/`private`/`secret`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.models import ModelAnswer, ModelFailure, ModelTry
from events.registry import Type, as_before, versioned


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one rule of a guard said of a text. `action`: allow, observe, redact, hold, block. `span` in characters."""

    rule: str
    version: str
    action: str
    span: tuple[int, int] | None = None
    score: float = 1.0
    why: str = ""


class Section(msgspec.Struct, frozen=True, omit_defaults=True):
    """One part of a prompt: what it is, the events it came from, its tokens, and what was left out and why."""

    name: str
    tokens: int
    events: list[str] = []
    budget: int = 0
    cut: int = 0
    why: str = ""
    label: str = "trusted/public"


class Citation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where something comes from. `lines` are first and last, `hash` the SHA-256 of the whole file then."""

    path: str
    lines: tuple[int, int] | None = None
    hash: str = ""


class ConversationOpened(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody began to talk to an agent through a channel."""

    agent: str
    channel: str
    at: int
    by: str = ""
    title: str = ""
    policy: str = ""
    """What becomes of a message that comes during a turn: enqueue, merge, interrupt, reject; "": as the agent says."""
    parent: str = ""
    """The call or the run that opened it."""
    forked_from: str = ""


class MessageReceived(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody wrote. `id` is what the channel calls it, the same for every repetition. `asker` is the actor that
    posted it and is told what came of it, as `ref`; `cause` is what started it all."""

    number: int
    id: str
    sender: str
    text: str
    at: int
    label: str = "trusted/private"
    attachments: list[Any] = []
    asker: str = ""
    ref: str = ""
    cause: str = ""
    run: str = ""
    """The run whose context variables the turn that answers it sees."""
    variables: dict[str, Any] = {}
    """Context variables of the step that asks."""
    requesters: list[str] = []
    """Everybody in whose name it is written, from the person to the actor; empty: the sender alone."""


class MessageTurnedAway(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message that waited is not answered: the conversation was closed before its turn came."""

    id: str
    sender: str
    at: int
    code: str
    reason: str


class TurnStarted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The agent is to answer these messages, by their numbers. `cause` is what started it all."""

    turn: int
    messages: list[int]
    at: int
    cause: str = ""


class TurnAdmitted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The agent takes the turn by this version of its definition; the turn ends on it."""

    turn: int
    version: int
    hash: str
    at: int


class AgentAdopted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The definition of a version, the first time this conversation uses it."""

    version: int
    hash: str
    definition: msgspec.Raw


class VariablesRead(msgspec.Struct, frozen=True, omit_defaults=True):
    """The context variables of a scope, as the turn sees them. Never a secret's value."""

    turn: int
    scope: str
    values: dict[str, Any]


class ContextAssembled(msgspec.Struct, frozen=True, omit_defaults=True):
    """The prompt was put together. It can be put together again from (stream version, template): `digest` is its
    BLAKE2b. `label` joins those of all sections."""

    turn: int
    step: int
    template: str
    sections: list[Section]
    tokens: int
    digest: str
    label: str
    variables: dict[str, Any] = {}


class BudgetAsked(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call may cost `estimate` dollars: they are to be set aside in these budgets before it is made."""

    turn: int
    step: int
    attempt: int
    call: str
    budgets: list[str]
    estimate: str
    at: int


class ModelAsked(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model is to answer. `call` names it for budgets and live chunks; `estimate` is what it may cost in dollars, set
    aside in `budgets`. Step 0 summarises old turns."""

    turn: int
    step: int
    attempt: int
    call: str
    models: list[str]
    digest: str
    at: int
    estimate: str = "0"
    budgets: list[str] = []


class ModelAnswered(msgspec.Struct, frozen=True, omit_defaults=True):
    """It did. `cost` is dollars as a decimal, None when unknown. `late`: nobody waited for it any more; where the call
    had been lost, this cost takes the place of its estimate."""

    turn: int
    step: int
    attempt: int
    call: str
    model: str
    answer: ModelAnswer
    at: int
    cost: str | None = None
    price: Any = None
    why: str = ""
    tries: list[ModelTry] = []
    started: int = 0
    first: int = 0
    chunks: int = 0
    late: bool = False


class ModelFailed(msgspec.Struct, frozen=True, omit_defaults=True):
    """No model answered."""

    turn: int
    step: int
    attempt: int
    call: str
    failure: ModelFailure
    at: int
    tries: list[ModelTry] = []


class ModelLost(msgspec.Struct, frozen=True, omit_defaults=True):
    """Its host was lost in the middle of the call: what it cost is not known, so the estimate counts."""

    turn: int
    step: int
    attempt: int
    call: str
    at: int
    estimate: str = "0"
    reason: str = ""


class Guarded(msgspec.Struct, frozen=True, omit_defaults=True):
    """Guards looked at a text on one of six edges: inbound, prompt, output, tool-call, tool-result, outbound."""

    edge: str
    turn: int
    step: int
    verdicts: list[Verdict]
    subject: str = ""


class ToolAsked(msgspec.Struct, frozen=True, omit_defaults=True):
    """The model wants a tool called; `call` is the actor that handles it. `ordinal` counts in the turn from 1."""

    turn: int
    step: int
    ordinal: int
    use: str
    tool: str
    arguments: str
    call: str
    digest: str
    label: str
    at: int


class ToolWaits(msgspec.Struct, frozen=True, omit_defaults=True):
    """People have to agree before the tool is called: to exactly this `digest`."""

    turn: int
    ordinal: int
    call: str
    approval: str
    digest: str
    at: int


class ToolAnswered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of it. `status`: succeeded, failed, refused, denied, unknown, cancelled. `text` is what the model is
    shown."""

    turn: int
    ordinal: int
    call: str
    status: str
    text: str
    at: int
    label: str = "untrusted/private"
    citations: list[Citation] = []
    data: Any = None


class AnswerRejected(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer did not fit the output schema, was empty, or a guard wants another (`code`: schema, empty, guard): the
    model is asked again, and told the reason."""

    turn: int
    step: int
    reason: str
    asks_left: int
    code: str = "schema"


class TurnReplied(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer of a turn. `data` is what the output schema asks for."""

    turn: int
    text: str
    at: int
    citations: list[Citation] = []
    data: Any = None
    label: str = "untrusted/private"


class TurnEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """A turn is over: replied, failed, interrupted, cancelled. `usage` sums its model calls, `cost` in dollars or None
    when one of them is unknown."""

    turn: int
    status: str
    at: int
    reason: str = ""
    code: str = ""
    usage: dict[str, int] = {}
    cost: str | None = None
    model_calls: int = 0
    tool_calls: int = 0


class TurnStuck(msgspec.Struct, frozen=True, omit_defaults=True):
    """A turn has made no progress for longer than the definition allows."""

    turn: int
    since: int
    at: int
    waiting_for: list[str] = []


class HistoryCompacted(msgspec.Struct, frozen=True, omit_defaults=True):
    """Turns `first` to `last` are shown to the model as this summary from now on; the log keeps the original."""

    first: int
    last: int
    summary: str
    by: str
    at: int
    tokens_before: int = 0
    tokens_after: int = 0
    label: str = "untrusted/private"


class OutboundIntended(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something is to be sent through the channel: a reply, a failure, an approval that is asked for (`data` names it).
    `number` counts what goes out of this conversation from 1."""

    number: int
    turn: int
    kind: str
    text: str
    at: int
    data: Any = None


class OutboundAttempted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The channel is asked to deliver it."""

    number: int
    attempt: int
    at: int


class OutboundDelivered(msgspec.Struct, frozen=True, omit_defaults=True):
    """The channel has it. `receipt` is what the channel said."""

    number: int
    attempt: int
    at: int
    receipt: Any = None


class OutboundFailed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The channel does not take it, or nobody knows whether it did (`unknown`)."""

    number: int
    attempt: int
    at: int
    reason: str
    unknown: bool = False


class ConversationClosed(msgspec.Struct, frozen=True, omit_defaults=True):
    """No message is taken any more."""

    at: int
    by: str = ""
    reason: str = ""


MESSAGE_RECEIVED = versioned(MessageReceived, schema=2, upcasters={1: as_before})
"""Version 1 knew one requester, the sender."""

CONVERSATION_EVENTS: tuple[type[Any] | Type, ...] = (
    ConversationOpened, MESSAGE_RECEIVED, MessageTurnedAway, TurnStarted, TurnAdmitted, AgentAdopted, VariablesRead,
    ContextAssembled, BudgetAsked, ModelAsked, ModelAnswered, ModelFailed, ModelLost, Guarded, ToolAsked, ToolWaits,
    ToolAnswered, AnswerRejected, TurnReplied, TurnEnded, TurnStuck, HistoryCompacted, OutboundIntended,
    OutboundAttempted, OutboundDelivered, OutboundFailed, ConversationClosed,
)  # fmt: skip
