"""The effect `model-call`: what came of it is a result, also when no model answered."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from actors.core.kind import Attempt, EffectKind
from actors.models.port import MODEL_CALL, ModelCall
from events.models import ModelResult
from infra.models.calling import Caller
from infra.models.showing import Show, Showing

AT_ONCE: Final = 10_000
"""Calls that a host makes at the same time; providers say themselves when it is too many."""


def model_effects(caller: Caller, show: Show) -> list[EffectKind]:
    """What conversations ask of models. `show` is given the pieces of an answer, see `infra.models.showing.shown`."""

    async def perform(call: ModelCall, attempt: Attempt) -> ModelResult:
        if not call.stream:
            return await caller.call(call)
        showing = Showing(call, attempt.tenant, show, caller.now)
        try:
            result = await caller.call(call, showing)
            showing.end()
            return replace(result, chunks=showing.chunks)
        finally:
            showing.close()

    # Irreversible: a call costs money, and a lost one is the conversation's to make again, which knows of the cost.
    # No timeout: each try of the call has its own.
    return [
        EffectKind(
            MODEL_CALL, request=ModelCall, perform=perform, effect_class="irreversible", result=ModelResult,
            timeout=None, concurrency=AT_ONCE,
        )
    ]  # fmt: skip
