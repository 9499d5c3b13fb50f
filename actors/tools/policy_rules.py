"""What rules about tools are made of, and what they are asked about: data alone."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import msgspec

from events.errors import InvalidData
from events.tools import ToolDefinition

DECISIONS: Final = ("allow", "ask", "deny")
"""From the mildest to the strictest."""

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Window(msgspec.Struct, frozen=True, omit_defaults=True):
    """Times of day, `08:00` to before `18:00` (over midnight when the end is not later), on these days, in a zone."""

    begin: str = "00:00"
    end: str = "24:00"
    days: list[str] = []
    zone: str = "UTC"


class When(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of these must hold; what is empty holds always. Names may be patterns with `*`.

    `trusted`: every argument with one of these roles comes from somebody trusted. `untrusted`: at least one does not.
    `carries`: an argument is at least this secret. `arguments`: regular expressions for whole values, by argument; in
    lists and maps every text must fit to be allowed, any to be denied or asked about.
    """

    tools: list[str] = []
    risk: list[str] = []
    effects: list[str] = []
    via: list[str] = []
    agents: list[str] = []
    roles: list[str] = []
    tenants: list[str] = []
    requesters: list[str] = []
    trusted: list[str] = []
    untrusted: list[str] = []
    carries: str = ""
    arguments: dict[str, str] = {}
    during: Window | None = None


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule. `approvers` (empty: anybody but those who ask), `quorum`, `expires` (seconds) and `self_approval` (a
    person who asked an agent may agree to what the agent wants to do) are of those that ask."""

    id: str
    decision: str
    when: When = When()
    why: str = ""
    approvers: list[str] = []
    quorum: int = 1
    expires: float | None = 3600.0
    self_approval: bool = False


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """These tools may be used by these agents, roles and tenants (empty: by all of them), as far as rules allow."""

    tools: list[str]
    agents: list[str] = []
    roles: list[str] = []
    tenants: list[str] = []


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A policy as it is stored with each version. `sandbox` is the level that a tier of risk needs, `guards` those that
    look at arguments (`tool-call`) and results (`tool-result`). `roles` says which agents have a role."""

    name: str
    rules: list[Rule]
    grants: list[Grant] = []
    sandbox: dict[str, str] = {}
    guards: list[Any] = []
    description: str = ""
    roles: dict[str, list[str]] = {}


class Facts(msgspec.Struct, frozen=True):
    """All that a call is judged by. `agent` is "" for a person's own call; `roles` are those that its own file names;
    `at` in µs."""

    definition: ToolDefinition
    arguments: dict[str, Any]
    labels: dict[str, str]
    requesters: list[str]
    tenant: str
    at: int
    agent: str = ""
    roles: list[str] = []


class Explained(msgspec.Struct, frozen=True):
    """One rule, and why it does not apply (`unmet` empty: it does)."""

    rule: str
    decision: str
    applies: bool
    unmet: list[str] = []


class Published(msgspec.Struct, frozen=True):
    """A policy in one of its versions."""

    policy: Policy
    version: int
    hash: str


_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final = msgspec.json.Decoder(Policy).decode


def encode_policy(policy: Policy) -> bytes:
    """A policy as it is stored: the same bytes for equal ones."""
    return _encode(policy)


def hash_of(policy: Policy) -> str:
    """What names its content: BLAKE2b of those bytes."""
    return blake2b(_encode(policy), digest_size=16).hexdigest()


@lru_cache(maxsize=64)
def decode_policy(data: bytes) -> Policy:
    """A stored policy. Raises InvalidData."""
    try:
        return _decode(data)
    except msgspec.DecodeError as error:
        raise InvalidData(f"this is no policy: {error}") from None
