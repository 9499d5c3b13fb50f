"""Language models of a host, wired; and one asked directly from a terminal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from actors.core.kind import EffectKind
from actors.models.port import Chunk, ModelCall, Provider
from events.models import ChatMessage, ModelRequest, ModelResult
from infra.models.calling import Caller
from infra.models.effects import model_effects
from infra.models.providers import described, providers_from_environment
from infra.models.showing import shown
from infra.nats.wire import Wire

LISTED_FOR: Final = 30.0
"""Seconds that a list of models is shown before providers are asked again."""


class HostModels:
    """Everything a host needs to have models asked: give `effects` to its plugin, and `close` it after the host.

    Providers of a workspace go before those of the environment that have the same name.
    """

    def __init__(self, bus: Wire, environment: Mapping[str, str], brought: Sequence[Provider] = ()) -> None:
        names = {provider.name for provider in brought}
        found = [provider for provider in providers_from_environment(environment) if provider.name not in names]
        self.caller = Caller([*brought, *found])
        self.effects: list[EffectKind] = model_effects(self.caller, shown(bus))
        self._listed: list[dict[str, object]] = []
        self._until = 0.0
        self._asking = asyncio.Lock()

    @property
    def providers(self) -> list[Provider]:
        """Who has models here."""
        return list(self.caller.providers.values())

    async def listed(self) -> Sequence[Mapping[str, Any]]:
        """Each provider with its models, for `/v1/models`."""
        async with self._asking:
            if time.monotonic() >= self._until:
                self._listed = await described(self.providers)
                self._until = time.monotonic() + LISTED_FOR
        return self._listed

    async def close(self) -> None:
        """Let go of connections."""
        await self.caller.close()


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
