"""Which language models a host has; and one asked directly from a terminal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from actors.models.port import Chunk, ModelCall, Provider
from events.models import ChatMessage, ModelRequest, ModelResult
from infra.models.calling import Caller
from infra.models.providers import described, providers_from_environment

LISTED_FOR: Final = 30.0
"""Seconds that a list of models is shown before providers are asked again."""


class Listed:
    """What the providers of a host have, for `/v1/models`: asked for again when it is older than `LISTED_FOR`."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = list({provider.name: provider for provider in providers}.values())
        self._found: list[dict[str, object]] = []
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def read(self) -> Sequence[Mapping[str, Any]]:
        """Each provider with its models."""
        async with self._asking:
            if time.monotonic() >= self._until:
                self._found = await described(self._providers)
                self._until = time.monotonic() + LISTED_FOR
        return self._found


class Printed:
    """Says pieces as they come."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.first = 0
        self.chunks = 0

    def piece(self, chunk: Chunk) -> None:
        """A piece came."""
        self.first = self.first or time.time_ns() // 1000
        self.chunks += 1
        self._say(chunk.text)

    def broken(self) -> None:
        """It begins again."""
        if self.chunks:
            self._say("\n--- it broke off; again:\n")


def ask(
    model: str, prompt: str, environment: Mapping[str, str], say: Callable[[str], None], timeout: float
) -> ModelResult:
    """Ask a model once, with the keys of the environment. Raises BadDefinition."""

    async def asked() -> ModelResult:
        caller = Caller(providers_from_environment(environment))
        request = ModelRequest([ChatMessage("user", prompt)])
        call = ModelCall("test", "conversation/test", 1, 1, 1, [model], request, True, timeout, 2)
        try:
            return await caller.call(call, Printed(say))
        finally:
            await caller.close()

    return asyncio.run(asked())
