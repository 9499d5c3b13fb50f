"""GET /v1/conversations/{id}/turns/{turn}/explain: how each prompt of a turn came to be, put together again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import web
from msgspec.structs import asdict

from events.envelope import Event
from events.errors import NotFound
from gateway.http.conversation_feed import exists
from gateway.http.route import Call, answer

if TYPE_CHECKING:
    from actors.agents.prompt.explain import Explained


async def explain(call: Call) -> web.Response:
    """Sections with their events, tokens, and what was cut; whether today's code puts together the very same."""
    from actors.agents.prompt.explain import explain as explained

    id, turn = call.path("id"), call.path("turn")
    stream = await exists(call, id)
    number = int(turn) if turn.isascii() and turn.isdigit() and len(turn) < 10 else 0
    events = await history(call, stream)
    prompts = await asyncio.to_thread(explained, events, number, call.query.step) if number else []
    if not prompts:
        step = f"step {call.query.step} of " if call.query.step is not None else ""
        raise NotFound(
            f"there is no prompt of {step}turn {turn[:20]!r}", hint=f"`GET /v1/conversations/{id}` has the turns"
        )
    return answer({"conversation": id, "turn": number, "prompts": [_prompt(prompt) for prompt in prompts]})


def _prompt(found: Explained) -> dict[str, Any]:
    sections = [{**asdict(s.section), "text": s.text, "messages": s.messages} for s in found.sections]
    return {**asdict(found), "sections": sections}


async def history(call: Call, stream: str) -> list[Event]:
    """All events of a stream."""
    found: list[Event] = []
    while events := await call.door.store.read_stream(
        call.tenant, stream, found[-1].version if found else 0, limit=1000
    ):
        found += events
    return found
