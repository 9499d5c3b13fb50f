"""Who has models, from the environment. Keys stay in the provider that uses them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from actors.models.port import ModelError, ModelInfo, Provider
from events.errors import InvalidSetting
from infra.models.mistral import Mistral
from infra.models.openai import URL, OpenAI
from infra.models.scripted import NOTE, Scripted

PAUSE: Final = "THESPIS_SCRIPTED_PAUSE"
PATIENCE: Final = 10.0
"""Seconds that a provider has to list its models."""


def providers_from_environment(environment: Mapping[str, str]) -> list[Provider]:
    """`mistral` with MISTRAL_API_KEY, `openai` with OPENAI_API_KEY or OPENAI_BASE_URL, and always `scripted`.

    Raises InvalidSetting naming the variable.
    """
    found: list[Provider] = []
    if key := environment.get("MISTRAL_API_KEY", "").strip():
        found.append(Mistral(key, _url(environment, "MISTRAL_SERVER_URL").removesuffix("/v1")))
    key, url = environment.get("OPENAI_API_KEY", "").strip(), _url(environment, "OPENAI_BASE_URL")
    if key or url:
        found.append(OpenAI(url or URL, key=key))
    try:
        pause = float(environment.get(PAUSE, "") or 0)
    except ValueError:
        pause = -1.0
    if not 0 <= pause <= 60:
        raise InvalidSetting(f"{PAUSE} is not a number of seconds", hint="give 0 to 60, such as 0.05")
    return [*found, Scripted(pause=pause)]


async def described(providers: Sequence[Provider]) -> list[dict[str, object]]:
    """Each provider as JSON: `provider`, `note`, `error`, and its `models`; one that does not answer has no models."""
    return list(await asyncio.gather(*(_described(provider) for provider in providers)))


async def _described(provider: Provider) -> dict[str, object]:
    note = NOTE if isinstance(provider, Scripted) else ""
    error = ""
    models: list[ModelInfo] = []
    try:
        async with asyncio.timeout(PATIENCE):
            models = await provider.list_models()
    except ModelError as failure:
        error = f"{failure.kind}: {failure}"
    except TimeoutError:
        error = f"timeout: no list within {PATIENCE:g} s"
    rows = [
        {"id": f"{provider.name}:{m.id}", "context": m.context, "capabilities": m.capabilities, "note": m.note}
        for m in models
    ]
    return {"provider": provider.name, "note": note, "error": error, "models": rows}


def _url(environment: Mapping[str, str], name: str) -> str:
    url = environment.get(name, "").strip().rstrip("/")
    if url and not url.startswith(("https://", "http://")):
        raise InvalidSetting(f"{name} is not an http or https URL", hint="such as http://127.0.0.1:11434/v1")
    return url
