"""The port to language models. Adapters are in `infra/models`; one contract suite runs against all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

import msgspec

from events.models import ChatMessage, ModelAnswer, ModelFailure, ModelRequest, ToolUse, Usage

KINDS = (
    "rate-limit", "context-length", "content-filter", "timeout", "auth", "server", "invalid", "network", "unavailable",
    "divergence",
)  # fmt: skip
"""Kinds of failures: what retry, fallback and cooldown look at. `divergence`: a recording has no answer to this."""


class ModelError(Exception):
    """A model did not answer. `kind` is one of `KINDS`; `retry_after` in seconds, when the provider said so."""

    def __init__(self, kind: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after

    def failure(self) -> ModelFailure:
        """It as a value."""
        return ModelFailure(self.kind, str(self), self.retry_after)


class Chunk(msgspec.Struct, frozen=True, omit_defaults=True):
    """One piece of a streamed answer. `text` and the parts of tool uses add up; the last one has the whole `answer`."""

    text: str = ""
    tool_uses: list[ToolUse] = []
    answer: ModelAnswer | None = None


class Embeddings(msgspec.Struct, frozen=True):
    """A vector per text, in order."""

    vectors: list[list[float]]
    model: str
    usage: Usage


class Moderation(msgspec.Struct, frozen=True):
    """What a moderation model said of one text: score by category, and the categories it flags."""

    scores: dict[str, float]
    flagged: list[str]


class ModelInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model that a provider offers. `context` is its window in tokens, 0 when not known."""

    id: str
    provider: str
    context: int = 0
    capabilities: list[str] = []
    note: str = ""


class Provider(Protocol):
    """Who has models. Every method raises ModelError; `model` is the provider's own name of one."""

    name: str

    async def complete(self, model: str, request: ModelRequest) -> ModelAnswer:
        """The whole answer at once."""
        ...

    def stream(self, model: str, request: ModelRequest) -> AsyncIterator[Chunk]:
        """The answer piece by piece; the last chunk has it whole, with its usage."""
        ...

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Vectors of texts."""
        ...

    def count_tokens(self, model: str, messages: Sequence[ChatMessage], tools: Sequence[Any] = ()) -> int:
        """Tokens of a prompt, counted or (where the provider's own counting is not available) estimated."""
        ...

    async def list_models(self) -> list[ModelInfo]:
        """What there is."""
        ...

    async def moderate(self, model: str, texts: Sequence[str]) -> list[Moderation]:
        """Look at texts for what is harmful."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class ModelCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """The request of the effect `model-call`: ask the first of `models` (provider:model) that answers.

    `actor` and `call` name the live topic of its chunks; `attempt` grows when a call is made again after its host was
    lost, so that whoever shows chunks knows that what came before is replaced. `timeout` in seconds for each try.
    """

    call: str
    actor: str
    turn: int
    step: int
    attempt: int
    models: list[str]
    request: ModelRequest
    stream: bool = True
    timeout: float = 120.0
    tries: int = 3


class LiveChunk(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece on the live plane: `live.<tenant>.conversation.<id>.chunk`. `index` counts the pieces of an attempt."""

    turn: int
    step: int
    attempt: int
    index: int
    text: str = ""
    tool: str = ""
    done: bool = False
    reset: bool = False
    """What was shown of this step before is not what will be said: begin again."""


MODEL_CALL = "model-call"
"""The name of the effect kind."""
