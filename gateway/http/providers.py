"""GET /v1/models: what answers here. Agents, as clients of OpenAI's protocol look for models; and the models behind."""

from __future__ import annotations

from aiohttp import web

from gateway.http.asking import page
from gateway.http.route import Call, answer
from projections.core.query import MAX_LIMIT, Order, Query


async def list_models(call: Call) -> web.Response:
    """Agents in `data`: they are the models of `/v1/chat/completions`. Language models in `providers`."""
    found = await page(call, "agents", Query(call.tenant, "agents", [], [Order("agent")], MAX_LIMIT, None))
    agents = [
        {"id": row["agent"], "object": "model", "created": int(row["published_at"]) // 1_000_000, "owned_by": "thespis"}
        for row in found.rows
    ]
    return answer({"object": "list", "data": agents, "providers": await call.door.providers()})
