"""What agents and conversations are asked, and what they tell each other."""

from __future__ import annotations

from typing import Any

import msgspec

from events.models import ModelRequest

# -- an agent (`agent/<name>`)


class PublishAgent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Make this the newest version. A definition with the hash of the newest changes nothing: its version is the answer
    (`{name, version, hash, published}`)."""

    definition: msgspec.Raw
    hash: str
    source: str = ""
    by: str = ""


class AdmitTurn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A conversation wants to take a turn. The answer is `{admitted: true, version, hash, definition}`, or `{admitted:
    false}` and `TurnMayBegin` comes later. `known` is the hash the asker has: then `definition` is left out. Refused as
    `not-ready` (draining, stopped, failed, quarantined)."""

    conversation: str
    turn: int
    ref: str
    known: str = ""


class TurnMayBegin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Told to a conversation that waited: as the answer to `AdmitTurn`; `null` is no definition."""

    ref: str
    version: int
    hash: str
    definition: msgspec.Raw


class TurnRefused(msgspec.Struct, frozen=True, omit_defaults=True):
    """Told to a conversation that waited: the agent takes no turns any more, and this is why."""

    ref: str
    code: str
    reason: str


class TurnAway(msgspec.Struct, frozen=True):
    """An agent tells itself: more turns in line are to be refused."""


class TurnOver(msgspec.Struct, frozen=True, omit_defaults=True):
    """A conversation's turn ended, or it does not want one any more."""

    conversation: str
    turn: int
    status: str


class TurnIsStuck(msgspec.Struct, frozen=True, omit_defaults=True):
    """A conversation's turn makes no progress."""

    conversation: str
    turn: int
    since: int


class MoveAgent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Operate it: `trigger` is start, drain, stop, quarantine or release. Illegal moves are refused as `illegal`."""

    trigger: str
    by: str = ""
    reason: str = ""


class DescribeAgent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question: a version's definition (the newest when None), its state of life, turns under way."""

    version: int | None = None


# -- a conversation (`conversation/<id>`)


class OpenConversation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Begin. Asking again with the same agent is the same conversation. Answer: `{conversation, agent}`."""

    agent: str
    channel: str = "http"
    policy: str = ""
    """enqueue, merge, interrupt, reject; "": what the agent's definition says."""
    title: str = ""
    parent: str = ""
    """An actor that is told `ConversationReplied` at the end of each turn."""


class Post(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person or an actor writes. `id` is what the channel calls the message: a repetition is answered like the first.

    With `agent`, a conversation that does not exist yet is opened. Answer: `{number, turn, status}`; `status` is
    started, waiting (`turn` is 0) or repeated. Refused: `busy` (policy reject), `closed`, `full` (too many wait). A
    message that a guard blocks is taken; its turn ends failed, as `blocked`.
    """

    id: str
    text: str
    agent: str = ""
    channel: str = "http"
    sender: str = ""
    """Who wrote, where an actor (a channel) says it; else the sender of this message."""
    label: str = ""
    """As long as nothing is said: a person's own words are trusted/private, what an actor posts untrusted/private."""
    attachments: list[Any] = []
    parent: str = ""
    ref: str = ""
    run: str = ""
    """The run whose context variables the answer is given with; only an actor can name one."""
    variables: dict[str, Any] = {}
    """Context variables of the scope `step`: for the turn that answers this."""
    requesters: list[str] = []
    """Everybody in whose name it is written, where that is more than the sender; only an actor can name them."""
    cause: str = ""
    """What started it all, which only an actor can name; empty: the correlation of this message."""


class ConversationReplied(msgspec.Struct, frozen=True, omit_defaults=True):
    """Told to the parent (and to an actor that posted) when a turn ended."""

    ref: str
    conversation: str
    turn: int
    status: str
    text: str = ""
    data: Any = None
    label: str = "untrusted/private"
    reason: str = ""
    usage: dict[str, int] = {}
    cost: str | None = None


class InterruptTurn(msgspec.Struct, frozen=True, omit_defaults=True):
    """Stop the turn under way, if it is this one (0: whichever)."""

    turn: int = 0
    by: str = ""
    reason: str = ""


class CloseConversation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Take no message any more."""

    by: str = ""
    reason: str = ""


class SetVariable(msgspec.Struct, frozen=True, omit_defaults=True):
    """Set a context variable of this scope; merged by its declared rule. Answer: `{name, value}`."""

    name: str
    value: Any
    by: str = ""


class DeclareVariable(msgspec.Struct, frozen=True, omit_defaults=True):
    """Say what a variable is: JSON Schema, merge rule (last, first, max, min, sum, union, append, conflict), secret."""

    name: str
    schema: dict[str, Any]
    merge: str = "last"
    secret: bool = False
    by: str = ""


class RemoveVariable(msgspec.Struct, frozen=True, omit_defaults=True):
    """Let it have no value any more."""

    name: str
    by: str = ""


class ReadVariables(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer is `{values: {name: value}, types: {name: schema}}` of those named, or of all."""

    names: list[str] = []


class DescribeConversation(msgspec.Struct, frozen=True):
    """A question: who talks to whom, the turn under way and what it waits for, messages that wait."""


class CheckTurn(msgspec.Struct, frozen=True):
    """The conversation's own timer: has the turn made progress?"""

    turn: int


# -- a what-if (`whatif/<id>`)


class BeginWhatIf(msgspec.Struct, frozen=True, omit_defaults=True):
    """Let a conversation be answered otherwise, from turn `first` on; `changes` says what is different. The same again
    is the same. Answer: `{whatif}`."""

    conversation: str
    agent: str
    first: int
    changes: dict[str, Any]


class AskWhatIf(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ask a model for a step of it, once `estimate` dollars are set aside in `budgets`. The same step again is the same
    call. Answer: `{call}`; what came of it is an event: WhatIfAnswered, WhatIfFailed, WhatIfLost, WhatIfRefused."""

    turn: int
    step: int
    attempt: int
    models: list[str]
    request: ModelRequest
    estimate: str = "0"
    budgets: list[str] = []


# -- a budget (`budget/<scope>.<id>`)


class SetBudget(msgspec.Struct, frozen=True, omit_defaults=True):
    """So many dollars per period (total, day, month); None: no limit."""

    usd: str | None
    period: str = "total"
    by: str = ""


class ReserveBudget(msgspec.Struct, frozen=True, omit_defaults=True):
    """Set `usd` aside for a call. Answer: `{granted, left}`. It is granted while anything is left after what is spent
    and reserved: so all calls under way together overshoot by less than one call. The same holder again is the same."""

    holder: str
    usd: str


class SettleBudget(msgspec.Struct, frozen=True, omit_defaults=True):
    """The call cost `usd`; what was set aside is free again. A settlement without a reservation counts too."""

    holder: str
    usd: str
    estimated: bool = False
