"""The stand-in for a model: functions of the request. It needs no key, calls nobody, and says the same every time.

Every surface shows that it is one: its models are called `scripted:…`, in references and in answers alike.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from math import sqrt
from typing import Any, Final, cast

from msgspec.structs import replace

from actors.models import tokens
from actors.models.port import Chunk, Embeddings, ModelError, ModelInfo, Moderation
from actors.models.references import request_digest
from events.models import ChatMessage, ModelAnswer, ModelRequest, ToolSpec, ToolUse, Usage
from infra.models.prices import FREE
from infra.models.scripts import SCRIPTS

NAME: Final = "scripted"
NOTE: Final = "a script on this host, not a language model: it answers the same way every time"
DIMENSIONS: Final = 64

Script = Callable[[ModelRequest], ModelAnswer]
"""What answers. It may raise ModelError."""

_PIECES: Final = re.compile(r"\s*\S+\s*$|\s*\S+")
_WORDS: Final = re.compile(r"\w+")


class Scripted:
    """The provider. `scripts` by name of the model; `flags` are words by the category that moderation puts them in.

    `pause` seconds pass between the pieces of a stream.
    """

    name = NAME
    priced_as = FREE

    def __init__(
        self,
        scripts: Mapping[str, Script] = SCRIPTS,
        *,
        flags: Mapping[str, str] | None = None,
        pause: float = 0.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._scripts = dict(scripts)
        self._flags = dict(flags or {})
        self._pause = pause
        self._sleep = sleep

    async def complete(self, model: str, request: ModelRequest) -> ModelAnswer:
        """What the script says. Raises ModelError."""
        script = self._scripts.get(model)
        if script is None:
            known = ", ".join(sorted(self._scripts))
            raise ModelError("unavailable", f"there is no script {model!r}: {known}")
        answer = script(request)
        uses = [
            use if use.id else replace(use, id=f"s{request_digest(request)[:7]}{n % 10}")
            for n, use in enumerate(answer.tool_uses)
        ]
        finish = "tools" if uses and answer.finish == "stop" else answer.finish
        return replace(
            answer, tool_uses=uses, finish=finish, usage=_usage(request, answer), provider=NAME,
            model=f"{NAME}:{model}", id=answer.id or request_digest(request)[:16],
        )  # fmt: skip

    async def stream(self, model: str, request: ModelRequest) -> AsyncIterator[Chunk]:
        """The same in pieces of a word each. Raises ModelError."""
        answer = await self.complete(model, request)
        for piece in _PIECES.findall(answer.text) or [answer.text]:
            if piece:
                yield Chunk(piece)
            if self._pause:
                await self._sleep(self._pause)
        for use in answer.tool_uses:
            yield Chunk(tool_uses=[ToolUse(use.id, use.name)])
        yield Chunk(answer=answer)

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Vectors of words, hashed: texts that share words are near each other, and that is all they mean."""
        used = Usage(input=sum(tokens.of_text(text) for text in texts), raw={"estimated": True})
        return Embeddings([_vector(text) for text in texts], f"{NAME}:{model}", used)

    def count_tokens(self, model: str, messages: Sequence[ChatMessage], tools: Sequence[Any] = ()) -> int:
        """Tokens of a prompt, estimated (`actors/models/tokens.py`)."""
        return tokens.of_messages(messages) + tokens.of_tools(cast("Sequence[ToolSpec]", tools))

    async def list_models(self) -> list[ModelInfo]:
        """The scripts."""
        return [
            ModelInfo(name, NAME, 0, ["completion_chat", "function_calling"], NOTE) for name in sorted(self._scripts)
        ]

    async def moderate(self, model: str, texts: Sequence[str]) -> list[Moderation]:
        """Texts with one of the flagged words in them; nobody judges anything."""
        return [self._moderated(text) for text in texts]

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _moderated(self, text: str) -> Moderation:
        said = set(_WORDS.findall(text.lower()))
        scores = dict.fromkeys(sorted(set(self._flags.values())), 0.0)
        scores |= {category: 1.0 for word, category in self._flags.items() if word.lower() in said}
        return Moderation(scores, sorted(name for name, score in scores.items() if score))


def _usage(request: ModelRequest, answer: ModelAnswer) -> Usage:
    """What a script says it used counts, else an estimate; nobody pays for either."""
    if answer.usage != Usage():
        return answer.usage
    written = tokens.of_text(answer.text)
    written += sum(tokens.of_text(use.name) + tokens.of_text(use.arguments) for use in answer.tool_uses)
    return Usage(tokens.of_request(request), written, raw={"estimated": True})


def _vector(text: str) -> list[float]:
    vector = [0.0] * DIMENSIONS
    for word in _WORDS.findall(text.lower()):
        digest = sha256(word.encode()).digest()
        vector[digest[0] % DIMENSIONS] += 1.0 if digest[1] & 1 else -1.0
    length = sqrt(sum(x * x for x in vector))
    return [x / length for x in vector] if length else [1.0, *vector[1:]]
