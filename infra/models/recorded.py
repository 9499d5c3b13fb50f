"""Answers from a record, for replay: the same questions in the same order get the same answers, others get none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, cast

import msgspec

from actors.models import tokens
from actors.models.port import Chunk, Embeddings, ModelError, ModelInfo, Moderation
from actors.models.references import request_digest
from events.models import ChatMessage, ModelAnswer, ModelRequest, ToolSpec

NAME: Final = "recorded"


class Record(msgspec.Struct, frozen=True):
    """What was asked (the digest of the request) and answered."""

    digest: str
    answer: ModelAnswer


class Divergence(ModelError):
    """A question that is not the recorded one. `ordinal` from 0; `expected` is "" when nothing more is recorded."""

    def __init__(self, ordinal: int, expected: str, found: str) -> None:
        what = f"the record has {expected[:12]}" if expected else "the record ends before it"
        super().__init__("divergence", f"call {ordinal} asks {found[:12]}, {what}")
        self.ordinal = ordinal
        self.expected = expected
        self.found = found


class Recorded:
    """A provider of what is recorded, in order. `name` may be that of the provider whose calls were recorded."""

    def __init__(self, records: Sequence[Record], *, name: str = NAME) -> None:
        self.name = name
        self._records = list(records)
        self.used = 0
        """Calls that were answered."""

    async def complete(self, model: str, request: ModelRequest) -> ModelAnswer:
        """The recorded answer, if the question is the recorded one. Raises Divergence, and then again."""
        found = request_digest(request)
        expected = self._records[self.used].digest if self.used < len(self._records) else ""
        if found != expected:
            raise Divergence(self.used, expected, found)
        self.used += 1
        return self._records[self.used - 1].answer

    async def stream(self, model: str, request: ModelRequest) -> AsyncIterator[Chunk]:
        """The recorded answer in one piece. Raises Divergence."""
        answer = await self.complete(model, request)
        if answer.text or answer.tool_uses:
            yield Chunk(answer.text, answer.tool_uses)
        yield Chunk(answer=answer)

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Not recorded. Raises Divergence."""
        raise Divergence(self.used, "", "embeddings")

    def count_tokens(self, model: str, messages: Sequence[ChatMessage], tools: Sequence[Any] = ()) -> int:
        """Tokens of a prompt, estimated (`actors/models/tokens.py`)."""
        return tokens.of_messages(messages) + tokens.of_tools(cast("Sequence[ToolSpec]", tools))

    async def list_models(self) -> list[ModelInfo]:
        """What answered then."""
        names = dict.fromkeys(record.answer.model for record in self._records)
        return [ModelInfo(name, self.name, note="from a record; nothing is called") for name in names]

    async def moderate(self, model: str, texts: Sequence[str]) -> list[Moderation]:
        """Not recorded. Raises Divergence."""
        raise Divergence(self.used, "", "a moderation")

    async def close(self) -> None:
        """There is nothing to let go of."""
