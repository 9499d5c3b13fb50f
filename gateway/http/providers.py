"""/v1/models: what answers here. Agents, as clients of OpenAI's protocol look for models; and the models behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from events.errors import NotFound
from gateway.http import completions
from gateway.http.asking import page
from gateway.http.route import Call, answer
from projections.core.query import MAX_LIMIT, Filter, Order, Query


async def list_models(call: Call) -> web.Response:
    """Agents in `data`: they are the models of `/v1/chat/completions`. Language models in `providers`."""
    found = await page(call, "agents", Query(call.tenant, "agents", [], [Order("agent")], MAX_LIMIT, None))
    agents = [_model(row) for row in found.rows]
    return answer({"object": "list", "data": agents, "providers": await call.door.providers()})


async def show_model(call: Call) -> web.Response:
    """An agent, as clients of OpenAI's protocol make sure of a model."""
    name = call.path("model")
    found = await page(call, "agents", Query(call.tenant, "agents", [Filter("agent", "=", name)], [], 1, None))
    if not found.rows:
        raise NotFound(f"there is no agent {name!r}", hint="`GET /v1/models` lists them")
    return answer(_model(found.rows[0]))


def errors(document: dict[str, Any]) -> dict[str, Any]:
    """A problem document that is an error of OpenAI's protocol as well: both kinds of clients read this."""
    return document | completions.errors(document)


def _model(row: Mapping[str, Any]) -> dict[str, Any]:
    created = int(row["published_at"]) // 1_000_000
    return {"id": row["agent"], "object": "model", "created": created, "owned_by": "thespis"}
