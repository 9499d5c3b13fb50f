"""The route of models: part of the list in `routes.py`."""

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
    ),
)
