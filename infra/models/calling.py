"""The one loop that asks models: again, the next one, or not at all, as the kind of the failure says.

| kind | again | the next model | who rests |
|---|---|---|---|
| `rate-limit` | after `Retry-After`, if that is not longer than `LONGEST` | yes | the model, as long as it was told |
| `timeout`, `server`, `network` | after a growing, drawn pause | yes | the model |
| `auth` | no | of another provider | the provider |
| `unavailable` (no such model) | no | yes | nobody |
| `context-length` | no | yes: its window may be larger | nobody |
| `invalid` | no | yes: interfaces differ in what they take | nobody |
| `content-filter` | no | no: what one refuses is not offered to the next | nobody |
| `divergence` | no | no: a recording that does not fit is never made up for by a live call | nobody |

Who rests is passed over. When all rest, the one whose rest ends first is asked once.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import msgspec

from actors.models import references
from actors.models.port import Chunk, ModelCall, ModelError, Provider
from events.models import ModelAnswer, ModelFailure, ModelResult, ModelTry
from infra.models.cooldown import Cooldowns
from infra.models.prices import Prices

log = logging.getLogger("thespis.models")

AGAIN: Final = frozenset({"rate-limit", "timeout", "server", "network"})
FINAL: Final = frozenset({"content-filter", "divergence"})
LONGEST: Final = 60.0
"""Seconds that a call waits at most before it asks the same model again."""
FIRST: Final = 0.5
"""Seconds of the first pause; each further one is twice as long."""
REST: Final = 30.0
REST_OF_PROVIDER: Final = 300.0


class Shown(Protocol):
    """Who is shown the pieces of an answer."""

    first: int
    chunks: int

    def piece(self, chunk: Chunk) -> None:
        """A piece came."""
        ...

    def broken(self) -> None:
        """What was shown is not what will be said."""
        ...


def microseconds() -> int:
    """Now, since 1970."""
    return time.time_ns() // 1000


class Caller:
    """Asks models of `providers`. `now` in µs, `sleep` in seconds, `draw` from [0, 1)."""

    def __init__(
        self,
        providers: Sequence[Provider],
        *,
        now: Callable[[], int] = microseconds,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.providers = {provider.name: provider for provider in providers}
        self.prices = Prices(providers, now)
        self.cooldowns = Cooldowns(now)
        self.now = now
        self._sleep = sleep
        self._draw = draw

    async def call(self, call: ModelCall, shown: Shown | None = None) -> ModelResult:
        """The answer of the first model that has one, or the last failure. Raises nothing of its own."""
        started = self.now()
        tries: list[ModelTry] = []
        result = ModelResult("", failure=ModelFailure("invalid", "no model is named"))
        by_rest = sorted(call.models, key=lambda reference: self._rests(reference)[0])
        all_rest = bool(by_rest) and self._rests(by_rest[0])[0] > 0
        for reference in by_rest[:1] if all_rest else call.models:
            if not all_rest and self._passed_over(reference, tries):
                continue
            found = await self._ask(call, reference, 1 if all_rest else max(1, call.tries), tries, shown)
            if isinstance(found, ModelAnswer):
                provider, model = references.split(reference)
                result = ModelResult(reference, found, cost=self.prices.cost(provider, model, found))
                break
            result = ModelResult(reference, failure=found)
            if found.kind in FINAL:
                break
        first, chunks = (shown.first, shown.chunks) if shown is not None else (0, 0)
        return msgspec.structs.replace(
            result, tries=tries, started=started, ended=self.now(), first=first, chunks=chunks
        )  # fmt: skip

    def knows(self, reference: str) -> bool:
        """Whether the provider of a model is here."""
        provider, _, model = reference.partition(":")
        return bool(model) and provider in self.providers

    async def close(self) -> None:
        """Let go of all connections."""
        for provider in self.providers.values():
            await provider.close()

    def _rests(self, reference: str) -> tuple[float, str]:
        return self.cooldowns.left(reference, reference.partition(":")[0])

    def _passed_over(self, reference: str, tries: list[ModelTry]) -> bool:
        seconds, why = self._rests(reference)
        if seconds:
            failure = ModelFailure("unavailable", f"passed over for another {seconds:.0f} s: {why}", seconds)
            tries.append(ModelTry(reference, failure, self.now()))
        return seconds > 0

    async def _ask(
        self, call: ModelCall, reference: str, most: int, tries: list[ModelTry], shown: Shown | None
    ) -> ModelAnswer | ModelFailure:
        provider = reference.partition(":")[0]
        failure = ModelFailure("unavailable", "never asked")
        for number in range(1, most + 1):
            if number > 1 and self.cooldowns.left(provider)[0]:
                break
            at = self.now()
            try:
                answer = await self._once(call, reference, shown)
                self.cooldowns.well(reference, provider)
                return answer
            except ModelError as error:
                failure = error.failure()
            pause = self._pause(failure, number) if number < most else None
            tries.append(ModelTry(reference, failure, at, round(pause or 0.0, 6)))
            if shown is not None:
                shown.broken()
            if pause is None:
                break
            await self._sleep(pause)
        self._leave_alone(reference, provider, failure)
        return failure

    async def _once(self, call: ModelCall, reference: str, shown: Shown | None) -> ModelAnswer:
        """One try. Raises ModelError."""
        try:
            name, model = references.split(reference)
        except ValueError as error:
            raise ModelError("unavailable", str(error)) from None
        provider = self.providers.get(name)
        if provider is None:
            raise ModelError("unavailable", f"there is no provider {name!r} here: {', '.join(self.providers)}")
        try:
            async with asyncio.timeout(call.timeout):
                if shown is None or not call.stream:
                    return await provider.complete(model, call.request)
                async for chunk in provider.stream(model, call.request):
                    if chunk.answer is not None:
                        return chunk.answer
                    shown.piece(chunk)
                raise ModelError("server", "the stream ended without an answer")
        except TimeoutError:
            raise ModelError("timeout", f"no answer within {call.timeout:g} s") from None
        except ModelError:
            raise
        except Exception as error:
            log.exception("provider %s went wrong", name)
            raise ModelError("invalid", f"the provider went wrong: {type(error).__name__}") from error

    def _pause(self, failure: ModelFailure, number: int) -> float | None:
        """Seconds until the same model is asked again; None: it is not."""
        if failure.kind not in AGAIN:
            return None
        drawn = FIRST * 2 ** (number - 1) * (0.5 + self._draw())
        pause = max(drawn, failure.retry_after or 0.0)
        return pause if (failure.retry_after or 0.0) <= LONGEST else None

    def _leave_alone(self, reference: str, provider: str, failure: ModelFailure) -> None:
        why = f"{failure.kind}: {failure.message}"
        if failure.kind == "auth":
            self.cooldowns.rest(provider, REST_OF_PROVIDER, why)
        elif failure.kind in AGAIN:
            self.cooldowns.rest(reference, max(failure.retry_after or 0.0, REST), why)
