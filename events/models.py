"""What is said to a language model and what it answers, as values that events, effects and adapters share.

Token counts are normalised: `input` is all of the prompt, cached parts included; `output` all that was generated,
reasoning included. `raw` is what the provider reported, untouched.
"""

from __future__ import annotations

from typing import Any

import msgspec


class ToolUse(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool the model wants called. `arguments` is JSON text, as the model wrote it: it may be no JSON at all."""

    id: str
    name: str
    arguments: str = "{}"


class ChatMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a prompt. `role`: system, user, assistant, tool; a tool's names the use it answers."""

    role: str
    text: str = ""
    tool_uses: list[ToolUse] = []
    tool_use: str = ""
    name: str = ""


class ToolSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool as a model sees it. `parameters` is JSON Schema."""

    name: str
    description: str
    parameters: dict[str, Any]


class ModelRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One question to a model, whoever provides it. `response_schema` asks for JSON that fits it."""

    messages: list[ChatMessage]
    tools: list[ToolSpec] = []
    tool_choice: str = "auto"
    """auto, none, required, or the name of a tool."""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: list[str] = []
    seed: int | None = None
    response_schema: dict[str, Any] | None = None


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of one call. `reported` is False when the provider said nothing and they were estimated."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    raw: dict[str, Any] = {}
    reported: bool = True


class Price(msgspec.Struct, frozen=True, omit_defaults=True):
    """The row of a price list that a cost was computed with. `rates` are dollars per million tokens, as decimals."""

    source: str
    version: str
    date: str
    provider: str
    model: str
    rates: dict[str, str] = {}


class Cost(msgspec.Struct, frozen=True, omit_defaults=True):
    """Dollars of one call as an exact decimal; None: unknown (never 0 for want of a price). `why` says why."""

    usd: str | None = None
    price: Price | None = None
    why: str = ""


class ModelAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a model answered. `finish`: stop, length, tools, filter. `model` is what the provider says it was."""

    text: str = ""
    tool_uses: list[ToolUse] = []
    finish: str = "stop"
    usage: Usage = Usage()
    provider: str = ""
    model: str = ""
    id: str = ""


class ModelFailure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why there is no answer. `kind`: rate-limit, context-length, content-filter, timeout, auth, server, invalid,
    network, unavailable, divergence. `retry_after` in seconds."""

    kind: str
    message: str
    retry_after: float | None = None


class ModelTry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One try of a call that did not give the answer. `at` in µs; `waited` seconds before the next one."""

    model: str
    failure: ModelFailure
    at: int
    waited: float = 0.0


class ModelResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a call: an answer or the last failure. `model` is the reference (provider:model) that gave it.

    `started` and `ended` in µs; `first` is when the first piece of a stream came (0: none did). `chunks` is how many
    pieces were shown on the live plane.
    """

    model: str
    answer: ModelAnswer | None = None
    failure: ModelFailure | None = None
    cost: Cost = Cost()
    tries: list[ModelTry] = []
    started: int = 0
    ended: int = 0
    first: int = 0
    chunks: int = 0
