"""Tools as a story: a definition is pinned and approved; a call is requested and goes through every gate, in order.

A call: requested → pinned → labelled → guarded → judged → (approved) → budgeted → admitted → begun → answered →
guarded → ended. No call skips a gate; one that a gate stops is ended there. Times are µs since 1970 (UTC).
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any, Final

import msgspec

from events.conversations import Citation, Verdict
from events.registry import Type, as_before, versioned

_UNFIT: Final = re.compile(r"[^A-Za-z0-9._:~@+=,;!$'()&*/-]")
_LONGEST: Final = 150


def tool_address(name: str) -> str:
    """The address of the tool of that name; no two names share one."""
    escaped = _UNFIT.sub(lambda m: "".join(f"%{byte:02X}" for byte in m.group().encode()), name)
    if len(escaped) > _LONGEST:
        escaped = f"{escaped[:110]}~{blake2b(name.encode(), digest_size=16).hexdigest()}"
    return f"tool/{escaped or '%'}"


class ToolDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a tool is, as it is pinned: whatever of this changes needs to be approved again.

    `risk` is the tier: read-local, read-network, write-reversible, write-external (or irreversible), privileged.
    `effect_class` says what may be repeated. `via` is who performs it: function, mcp, workflow, agent. `roles` says
    what an argument decides: destination, command, body, or data (the default). `sandbox` is the level it needs.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    risk: str
    effect_class: str
    via: str = "function"
    roles: dict[str, str] = {}
    result: str = "untrusted/private"
    annotations: dict[str, Any] = {}
    sandbox: str = ""
    timeout: float = 60.0
    at_once: int = 8
    per_minute: int = 0
    code: str = ""
    """A hash of what performs it, where there is one."""


class ToolSeen(msgspec.Struct, frozen=True, omit_defaults=True):
    """A host has the tool with this definition. `approved`: it may be used (a new tool of ours may; one of others, and
    any that changed, waits for a person)."""

    hash: str
    definition: ToolDefinition
    approved: bool
    at: int
    by: str = ""
    origin: str = ""


class ToolApproved(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person agreed to this definition."""

    hash: str
    at: int
    by: str = ""
    note: str = ""


class ToolDisabled(msgspec.Struct, frozen=True, omit_defaults=True):
    """No call is let in: the definition changed, or a person said so. `diff` is what changed, a line each."""

    hash: str
    reason: str
    at: int
    by: str = ""
    diff: list[str] = []


class ToolUseGranted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call holds one of the tool's places."""

    call: str
    at: int
    group: str = ""


class ToolUseQueued(msgspec.Struct, frozen=True, omit_defaults=True):
    """All places are taken, or the rate is reached: the call waits. `group` is whom it takes turns as."""

    call: str
    at: int
    why: str = ""
    group: str = ""


class ToolUseEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """The call gave its place back."""

    call: str
    at: int


TOOL_EVENTS = (ToolSeen, ToolApproved, ToolDisabled, ToolUseGranted, ToolUseQueued, ToolUseEnded)


class CallRequested(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody wants a tool called. `requesters` is the chain of who asks, from the person to the agent. `labels` are
    those of each argument (by its name; `*`: of all of them), by where their values come from."""

    tool: str
    arguments: str
    requesters: list[str]
    ref: str
    at: int
    asker: str = ""
    labels: dict[str, str] = {}
    budgets: list[str] = []
    agent: str = ""
    conversation: str = ""
    turn: int = 0
    dry: bool = False
    roles: list[str] = []
    guards: list[Any] = []
    """Guards that look at this call besides those of the policy."""
    cause: str = ""
    """What started it all: the correlation of whatever an actor that performs the call does."""


class CallPinned(msgspec.Struct, frozen=True, omit_defaults=True):
    """The definition this call is bound to, and its arguments in canonical JSON, which fit the schema."""

    hash: str
    definition: ToolDefinition
    arguments: dict[str, Any]
    digest: str


class CallLabelled(msgspec.Struct, frozen=True, omit_defaults=True):
    """The label of each argument, by its name, and of all together."""

    labels: dict[str, str]
    joined: str


class CallGuarded(msgspec.Struct, frozen=True, omit_defaults=True):
    """Guards looked at the arguments (`tool-call`) or the result (`tool-result`)."""

    edge: str
    verdicts: list[Verdict]
    blocked: bool = False


class CallJudged(msgspec.Struct, frozen=True, omit_defaults=True):
    """The policy decided: allow, deny, ask. `rule` is the id of the rule, "" when none applied (then it is denied).
    `expires` is in seconds from when people are asked."""

    policy: str
    version: int
    hash: str
    decision: str
    rule: str
    why: str
    approvers: list[str] = []
    quorum: int = 1
    expires: float | None = None
    sandbox: str = ""
    """The level of the sandbox that the policy and the tool need."""
    guards: list[Any] = []
    """Those that will look at the result."""
    self_approval: bool = False
    """A person who asked the agent may agree to what the agent wants to do."""


class CallApprovalAsked(msgspec.Struct, frozen=True, omit_defaults=True):
    """People are asked to agree to exactly this."""

    approval: str
    digest: str
    at: int


class CallApproved(msgspec.Struct, frozen=True, omit_defaults=True):
    """They did, and the agreement is reserved for this call."""

    approval: str
    digest: str
    by: list[str]
    at: int


class CallBudgeted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The budgets it counts against have room."""

    budgets: list[str]
    at: int


class CallAdmitted(msgspec.Struct, frozen=True, omit_defaults=True):
    """It holds one of the tool's places."""

    at: int
    waited: float = 0.0


class CallBegun(msgspec.Struct, frozen=True, omit_defaults=True):
    """It is performed: as an effect, or by another actor. `sandbox` is the level the policy and the tool need."""

    via: str
    effect_class: str
    at: int
    sandbox: str = ""
    to: str = ""


class CallAnswered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of it: succeeded, failed, unknown. `sandbox` is the level that was reached."""

    status: str
    at: int
    result: Any = None
    error: str = ""
    label: str = "untrusted/private"
    citations: list[Citation] = []
    sandbox: str = ""
    usage: dict[str, str] = {}


class CallEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """The call is over. `status`: succeeded, failed, unknown, refused, denied, expired, cancelled; `stage` is the gate
    that stopped it. `text` is what the asker is told."""

    status: str
    stage: str
    at: int
    text: str = ""
    code: str = ""
    label: str = "untrusted/private"


CALL_REQUESTED = versioned(CallRequested, schema=2, upcasters={1: as_before})
"""Version 1 did not know the cause."""

CALL_EVENTS: tuple[type[Any] | Type, ...] = (
    CALL_REQUESTED, CallPinned, CallLabelled, CallGuarded, CallJudged, CallApprovalAsked, CallApproved, CallBudgeted,
    CallAdmitted, CallBegun, CallAnswered, CallEnded,
)  # fmt: skip


class PolicyPublished(msgspec.Struct, frozen=True, omit_defaults=True):
    """A new version of the rules about tools. Calls are judged by `rules`; `source` is the text they were made from."""

    version: int
    hash: str
    rules: msgspec.Raw
    source: str
    at: int
    by: str = ""


POLICY_EVENTS = (PolicyPublished,)
