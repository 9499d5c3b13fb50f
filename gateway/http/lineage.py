"""GET /v1/lineage/{event_id}: what led to an event, and what came of it, across actors."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from aiohttp import web

from events.cloudevents import rfc3339
from events.errors import NotFound
from gateway.http.projections import reach
from gateway.http.route import Call, answer
from projections.lineage import MAX_NODES, Node, lineage


async def show(call: Call) -> web.Response:
    """Walk from an event both ways.

    Without `wait` the projection is waited for until it has seen what was the head when the request came, so that an
    event just acknowledged is found.
    """
    query, door = call.query, call.door
    position = query.wait if query.wait is not None else await door.store.head()
    await reach(call, "lineage", position)
    id = call.path("event_id")
    nodes = min(query.limit or call.settings.max_page, MAX_NODES)
    try:
        found = await lineage(door.models, call.tenant, id, source=query.source, nodes=nodes)
    except NotFound as error:
        hint = f"if it is a message's id, see what it led to with `GET /v1/events?correlation={quote(id)}`"
        raise NotFound(error.message, hint=hint) from None
    return answer(
        {
            "event": _node(found.event),
            "up": [_node(node) for node in found.up],
            "down": [_node(node) for node in found.down],
            "roots": [_node(node) for node in found.roots],
            "truncated": found.truncated,
            "position": found.cursor,
        }
    )


def _node(node: Node) -> dict[str, Any]:
    source, space, id = node.id.partition(" ")
    out: dict[str, Any] = {"ref": node.id, "id": id if space else node.id}
    if space:
        out["source"] = source
    return out | {
        "parent": node.parent,
        "depth": node.depth,
        "position": node.position,
        "stream": node.stream,
        "version": node.version,
        "type": node.type,
        "correlation": node.correlation,
        "time": rfc3339(node.time),
    }
