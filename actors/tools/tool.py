"""What a user writes to give agents a tool: a typed function, and what must be known of it before it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from hashlib import blake2b, sha256
from typing import Any, Final

import msgspec

from actors.core.kind import EFFECT_CLASSES
from events.conversations import Citation
from events.errors import BadDefinition
from events.tools import ToolDefinition

RISKS: Final = ("read-local", "read-network", "write-reversible", "write-external", "privileged")
"""Tiers of risk, rising. What others say of their tools can only raise it."""

ROLES: Final = ("destination", "command", "body", "data")
"""What an argument decides: where to, what is done, what is said there, anything else."""


class ToolCallInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a tool sees of its call. `key` is the same for every attempt; `agent` and `conversation` may be ""."""

    call: str
    key: str
    tenant: str
    requesters: list[str]
    agent: str = ""
    conversation: str = ""
    sandbox: str = ""
    """The level the policy demands, at least that of the tool."""


class ToolResult(msgspec.Struct, omit_defaults=True):
    """What a tool may return when it has more to say than a value: what the model is shown, and its label.

    `label` is (un)trusted/(public|private|secret), "" for what the definition says; `sandbox` the level reached.
    """

    value: Any = None
    text: str = ""
    label: str = ""
    citations: list[Citation] = []
    sandbox: str = ""
    usage: dict[str, str] = {}


class ToolError(Exception):
    """A tool failed, in its own words, which the model is shown."""

    def __init__(self, message: str, *, code: str = "error") -> None:
        super().__init__(message)
        self.code = code


class Tool:
    """A tool of agents.

    `run(input, call)` is a function, async or not, of `input` (a msgspec.Struct, or a dict when `parameters` is JSON
    Schema) and a ToolCallInfo; it returns a JSON-ready value or a ToolResult, or raises ToolError. `risk` is one of
    RISKS, `effect_class` one of pure, idempotent, keyed, irreversible. `roles` says by argument what it decides.
    `reconcile(input, call)` finds out what became of a call that was lost: ("succeeded", value), ("failed", why), None.
    `preview(input)`, or `(input, call)`, is what a person is shown before agreeing, besides the arguments.

    Raises BadDefinition.
    """

    def __init__(
        self,
        name: str,
        run: Callable[..., Any],
        *,
        description: str = "",
        input: type[Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        risk: str,
        effect_class: str = "irreversible",
        roles: Mapping[str, str] | None = None,
        result: str = "untrusted/private",
        sandbox: str = "",
        timeout: float = 60.0,
        at_once: int = 8,
        per_minute: int = 0,
        via: str = "function",
        annotations: Mapping[str, Any] | None = None,
        origin: str = "",
        code: str | None = None,
        reconcile: Callable[..., Any] | None = None,
        preview: Callable[..., Any] | None = None,
    ) -> None:
        if risk not in RISKS:
            raise BadDefinition(f"tool {name}: {risk!r} is not a risk tier", hint=", ".join(RISKS))
        if effect_class not in EFFECT_CLASSES:
            raise BadDefinition(f"tool {name}: {effect_class!r} is not an effect class", hint=", ".join(EFFECT_CLASSES))
        if input is None and parameters is None:
            raise BadDefinition(f"tool {name} says nothing of its input", hint="give input=Struct or parameters=schema")
        for argument, role in (roles or {}).items():
            if role not in ROLES:
                raise BadDefinition(f"tool {name}: {role!r} of {argument} is not a role", hint=", ".join(ROLES))
        self.run = run
        self.input = input
        self.origin = origin
        self.reconcile = reconcile
        self.preview = preview
        schema = parameters_of(input) if input is not None else dict(parameters or {})
        self.definition = ToolDefinition(
            name, description or inspect.getdoc(run) or "", schema, risk, effect_class, via, dict(roles or {}), result,
            dict(annotations or {}), sandbox, float(timeout), at_once, per_minute,
            code_of(run) if code is None else code,
        )  # fmt: skip
        self.hash = hash_of(self.definition)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.definition.name


def parameters_of(struct: type[Any]) -> dict[str, Any]:
    """The JSON Schema of a struct without references to definitions elsewhere, as models like it.

    What the struct does not name is refused: an argument that is misspelled would be left out without a word.
    """
    schema: dict[str, Any] = msgspec.json.schema(struct)
    definitions: dict[str, Any] = schema.pop("$defs", {})
    name = schema.pop("$ref", "").rpartition("/")[2]
    top: dict[str, Any] = {**definitions.pop(name), **schema} if name else schema
    if top.get("type") == "object" and "properties" in top:
        top.setdefault("additionalProperties", False)
    return {**top, "$defs": definitions} if definitions else top


def hash_of(definition: ToolDefinition) -> str:
    """What a call is bound to: BLAKE2b of the canonical JSON of the definition."""
    return blake2b(msgspec.json.encode(definition, order="deterministic"), digest_size=16).hexdigest()


def code_of(run: Callable[..., Any]) -> str:
    """A hash that changes when the source of the function's module does; "" when there is none to be read."""
    try:
        module = inspect.getmodule(run)
        return sha256(inspect.getsource(module or run).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        return ""
