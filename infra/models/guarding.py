"""The effect `guard-check`: a model looks at a text that guards hold, and says whether it may go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.agents.conversation.guarding import GUARD_CHECK, GuardCheck, GuardChecked
from actors.core.kind import Attempt, EffectKind
from actors.models.port import ModelError, Provider
from events.conversations import Verdict
from events.errors import Unavailable

MODELS: Final = {"mistral": "mistral-moderation-latest", "openai": "omni-moderation-latest", "scripted": "echo"}
"""The moderation model of each provider; of those that are here the first in this order is asked."""

RULE: Final = "moderation"


def guard_effects(providers: Sequence[Provider]) -> list[EffectKind]:
    """What conversations ask when a guard holds a text. No verdict stops the text, so failures are raised."""
    here = {provider.name: provider for provider in providers}
    order = [name for name in MODELS if name in here]

    async def perform(request: GuardCheck, _attempt: Attempt) -> GuardChecked:
        if not order:
            raise Unavailable("no provider here moderates texts")
        name = order[0]
        try:
            (found,) = await here[name].moderate(MODELS[name], [request.text])
        except ModelError as error:
            raise Unavailable(f"{name}: {error}") from None
        version = f"{name}:{MODELS[name]}"
        if not found.flagged:
            return GuardChecked([Verdict(RULE, version, "allow", score=max(found.scores.values(), default=0.0))])
        return GuardChecked(
            [Verdict(f"{RULE}.{category}", version, "block", score=found.scores.get(category, 1.0), why=category)
             for category in found.flagged]
        )  # fmt: skip

    return [
        EffectKind(GUARD_CHECK, request=GuardCheck, perform=perform, effect_class="idempotent", result=GuardChecked)
    ]  # fmt: skip
