"""What tools, calls and policies are asked, and what they tell."""

from __future__ import annotations

from typing import Any

import msgspec

from events.conversations import Citation
from events.tools import ToolDefinition

# -- a tool (`tool/<name>`; a name with dots and slashes is escaped as addresses are)


class SeeTool(msgspec.Struct, frozen=True, omit_defaults=True):
    """A host has this tool. A first definition of ours (`origin` "") is approved by itself; one of others waits for a
    person; a changed one disables the tool until it is approved. Answer: `{hash, status}`."""

    hash: str
    definition: ToolDefinition
    origin: str = ""


class ApproveTool(msgspec.Struct, frozen=True, omit_defaults=True):
    """Agree to the definition of this hash, in whole."""

    hash: str
    by: str = ""
    note: str = ""


class DisableTool(msgspec.Struct, frozen=True, omit_defaults=True):
    """Let no call in."""

    by: str = ""
    reason: str = ""


class UseTool(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call asks for the pinned definition. Answer: `{hash, definition}`. Refused: `not-found`, `disabled`."""

    call: str


class EnterTool(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call wants one of the places. Answer: `{granted, hash}`; if false `PlaceGranted` is told later. Refused when
    the pinned hash is another by now (`changed`) or the tool is disabled."""

    call: str
    hash: str
    group: str = ""
    """Those who wait take turns by group (a conversation, a person)."""


class PlaceGranted(msgspec.Struct, frozen=True, omit_defaults=True):
    """Told to a call that waited for its place."""

    call: str


class PlaceLost(msgspec.Struct, frozen=True, omit_defaults=True):
    """Told to a call that waited for its place: the tool is disabled, or another definition by now."""

    call: str
    code: str
    reason: str


class RateDue(msgspec.Struct, frozen=True):
    """A tool's own timer: more calls may be let in by its rate."""


class LeaveTool(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call gives its place back, or does not want one any more."""

    call: str


class DescribeTool(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question: definition, status, what differs from what was approved, places taken."""


# -- a policy (`policy/default`)


class PublishPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Make these rules the newest version."""

    rules: msgspec.Raw
    hash: str
    source: str = ""
    by: str = ""


class CurrentPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call asks for the rules. Answer: `{name, version, hash, rules}`; with the hash it has, without `rules`."""

    known: str = ""


class DescribePolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question: a version's rules and source."""

    version: int | None = None


# -- a call (`call/<id>`)


class RequestCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """Have a tool called. `arguments` is JSON text as somebody (a model) wrote it. `requesters` is the chain of who
    asks, from the person (`user:ada`) to the agent (`agent/ada`). `labels` by argument, `*` for all others. `budgets`
    are addresses. `dry`: stop before it begins.

    Whoever asks (an actor) is told `CallFinished` with `ref`; a person's ask is answered `{call, status}`, and the call
    is looked at. The same request again changes nothing.
    """

    tool: str
    arguments: str
    requesters: list[str]
    ref: str
    labels: dict[str, str] = {}
    budgets: list[str] = []
    agent: str = ""
    roles: list[str] = []
    conversation: str = ""
    turn: int = 0
    dry: bool = False
    guards: list[Any] = []
    """Guards (`actors.tools.guards.Guard` as JSON) of the asker, besides those of the policy."""
    cause: str = ""
    """What started it all, which only an actor can name; empty: the correlation of this message."""


class DropCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nobody wants it any more. What has begun is not stopped; its result is recorded."""

    reason: str = ""


class CallDue(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call's own timer: the actor that performs it takes longer than the tool may. `told`: it was told to stop."""

    told: bool = False


class CallFinished(msgspec.Struct, frozen=True, omit_defaults=True):
    """Told to whoever asked, once. `text` is what a model may be shown."""

    ref: str
    call: str
    tool: str
    status: str
    text: str
    label: str = "untrusted/private"
    code: str = ""
    stage: str = ""
    data: Any = None
    citations: list[Citation] = []
    usage: dict[str, str] = {}


class CallWaits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Told to whoever asked when people have to agree first."""

    ref: str
    call: str
    approval: str
    digest: str


class PerformTool(msgspec.Struct, frozen=True, omit_defaults=True):
    """The request of the effects `tool-pure`, `tool-idempotent`, `tool-keyed`, `tool-irreversible`."""

    tool: str
    hash: str
    arguments: dict[str, Any]
    call: str
    requesters: list[str]
    agent: str = ""
    conversation: str = ""
    sandbox: str = ""
    timeout: float = 60.0


class Performed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of those effects, whether the tool succeeded or not: `error` and `code` say why not."""

    value: Any = None
    text: str = ""
    label: str = ""
    error: str = ""
    code: str = ""
    citations: list[Citation] = []
    sandbox: str = ""
    usage: dict[str, str] = {}


PREVIEW = "tool-preview"
"""The effect kind that says what a call would do, for people who are to agree; its request is `PerformTool`, its result
a text or a JSON value."""


def tool_effect(effect_class: str) -> str:
    """The effect kind that performs tools of a class."""
    return f"tool-{effect_class}"
