"""The routes of models: part of the list in `routes.py`."""

from __future__ import annotations

from typing import Final

from gateway.http import models_providers, providers
from gateway.http.route import Route

MODEL_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/v1/models",
        handler=providers.list_models,
        summary="Agents, as models of `/v1/chat/completions`; and the language models of each provider of this host",
        scope="agents:read",
        answer=models_providers.ModelsOut,
        any_key=True,
        errors=providers.errors,
    ),
    Route(
        method="GET",
        path="/v1/models/{model}",
        handler=providers.show_model,
        summary="An agent, as a model of `/v1/chat/completions`",
        scope="agents:read",
        answer=models_providers.AgentModelOut,
        any_key=True,
        errors=providers.errors,
    ),
)
