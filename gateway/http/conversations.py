"""/v1/conversations: beginning them, reading them, talking in them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from actors.agents.messages import (
    CloseConversation,
    DeclareVariable,
    InterruptTurn,
    OpenConversation,
    RemoveVariable,
    SetVariable,
)
from actors.channels.http import HTTP
from actors.channels.table import channel_of
from events import ids
from events.errors import InvalidData, NotFound
from gateway.http import body
from gateway.http.asking import ask, keyed, limit, page
from gateway.http.context import REPLAYED, key
from gateway.http.conversation_feed import exists, stream_of
from gateway.http.models_conversations import CloseIn, InterruptIn, OpenIn, PostIn, VariableIn
from gateway.http.posting import Posted, answered, check_agent, heard, post
from gateway.http.route import Call, answer
from gateway.http.transcript import Outbound, Transcript, TurnLine
from projections.core.query import Filter, Order, Query


async def begin(call: Call) -> web.Response:
    """Begin a conversation; repeated under its key it is the same one."""
    asked = await body.model(call, OpenIn)
    id = asked.id or keyed(call, f"agent/{asked.agent}", "conversation")
    to = stream_of(id)
    await check_agent(call, asked.agent)
    said = await ask(call, to, OpenConversation(asked.agent, asked.channel, asked.policy or "", asked.title))
    return _done(id, {"agent": asked.agent, **said})


async def list_conversations(call: Call) -> web.Response:
    """Conversations, those first in which something happened last."""
    asked = call.query
    where = [Filter(n, "=", v) for n, v in (("agent", asked.agent), ("status", asked.status)) if v is not None]
    order = [Order("last_at", descending=True)]
    found = await page(
        call, "conversations", Query(call.tenant, "conversations", where, order, limit(call), asked.after)
    )
    hidden = ("tenant", "position")
    rows = [{name: value for name, value in row.items() if name not in hidden} for row in found.rows]
    return answer({"conversations": rows, "next": found.next, "position": found.cursor})


async def show(call: Call) -> web.Response:
    """What was said, the turns and where it stands, now or at a version."""
    id, asked = call.path("id"), call.query
    found = await read(call, id, asked.at)
    return answer(shown(id, found, min(asked.limit or call.settings.page, call.settings.max_page), asked.before))


async def read(call: Call, id: str, at: int | None = None) -> Transcript:
    """A conversation from the log. Raises NotFound."""
    stream = stream_of(id)
    found = Transcript()
    while events := await call.door.store.read_stream(call.tenant, stream, found.version, at, 1000):
        found.fold(events)
    if found.opened is None or (at is not None and found.version < at):
        what = f"conversation {id!r}" if found.opened is None else f"version {at} of conversation {id!r}"
        raise NotFound(f"there is no {what}", hint="`GET /v1/conversations` lists them")
    return found


def shown(id: str, found: Transcript, most: int, before: int | None = None) -> dict[str, Any]:
    """A conversation as it goes out, with its last `most` turns."""
    opened, current = found.opened, found.current
    assert opened is not None, "read before"
    numbers = [turn for turn in sorted(found.turns) if before is None or turn < before]
    chosen = set(numbers[-most:])
    cost, unknown = found.costs()
    return {
        "conversation": id,
        "agent": opened.agent,
        "channel": opened.channel,
        "title": opened.title,
        "policy": opened.policy,
        "by": opened.by,
        "opened_at": opened.at,
        "status": "closed" if found.closed is not None else "open",
        "turn": current.turn if current is not None else 0,
        "waiting": found.waiting,
        "messages": [m for m in found.messages.values() if m.turn in chosen or (before is None and not m.turn)],
        "turns": [found.turns[turn] for turn in numbers[-most:]],
        "more": len(numbers) > most,
        "refused": found.refused[-most:],
        "outbound": [_sent(out, opened.channel) for out in found.outbound.values() if out.turn in chosen],
        "forked_from": opened.forked_from,
        "cost": cost,
        "cost_unknown": unknown,
        "version": found.version,
        "position": found.position,
    }


def _sent(out: Outbound, channel: str) -> dict[str, Any]:
    """What went out, as the channel of the conversation shows it."""
    return {
        "number": out.number, "turn": out.turn, "kind": out.kind, "status": out.status, "attempts": out.attempts,
        "receipt": out.receipt, "reason": out.reason, "messages": channel_of(channel).rendered(out.deliver),
    }  # fmt: skip


async def say(call: Call) -> web.Response:
    """Post a message. With `wait` 200 and the answer when it comes in time, else 202 and where it stands."""
    id, asked = call.path("id"), await body.model(call, PostIn)
    stream = stream_of(id)
    if asked.agent is not None:
        await check_agent(call, asked.agent)
    else:
        await exists(call, id)
    given = key(call.request) or asked.id
    name = asked.id or (keyed(call, stream, "message") if given else ids.random_id())
    posted = await post(
        call, stream, heard(call, id, asked.text, name, asked.agent or "", untrusted=asked.untrusted), given
    )
    said, turn = await answered(call, stream, posted, min(asked.wait or 0.0, call.settings.max_wait))
    over = turn is not None and turn.over
    headers = {REPLAYED: "true"} if posted.duplicate else None
    return answer(posted_out(id, posted, turn, said), status=200 if over else 202, headers=headers)


def posted_out(id: str, posted: Posted, turn: TurnLine | None, said: Transcript) -> dict[str, Any]:
    """A message and its answer as far as it is known."""
    out: dict[str, Any] = {
        "conversation": id, "number": posted.number, "turn": turn.turn if turn is not None else 0,
        "status": turn.status if turn is not None else "waiting", "position": posted.position,
        "duplicate": posted.duplicate,
    }  # fmt: skip
    shown = turn if turn is not None and turn.over else TurnLine(0, [], 0)
    return out | {
        "text": shown.text if shown.status == "replied" else None, "data": shown.data, "citations": shown.citations,
        "code": shown.code or None, "reason": shown.reason or None, "models": shown.models,
        "stand_in": shown.stand_in, "usage": shown.usage, "cost": shown.cost,
        "messages": [message for out in (said.sent(turn.turn) if turn else ()) for message in HTTP.rendered(out)],
    }  # fmt: skip


async def interrupt(call: Call) -> web.Response:
    """End the turn under way."""
    asked = await body.model(call, InterruptIn, optional=True)
    id = call.path("id")
    stream = await exists(call, id)
    return _done(id, await ask(call, stream, InterruptTurn(asked.turn, call.principal.name, asked.reason)))


async def close(call: Call) -> web.Response:
    """Take no message any more."""
    asked = await body.model(call, CloseIn, optional=True)
    id = call.path("id")
    stream = await exists(call, id)
    return _done(id, await ask(call, stream, CloseConversation(call.principal.name, asked.reason)))


async def variables(call: Call) -> web.Response:
    """Declare, set or remove a context variable of the conversation."""
    asked = await body.model(call, VariableIn)
    id, who = call.path("id"), call.principal.name
    to = await exists(call, id)
    given = "value" in asked.model_fields_set
    if asked.remove and (given or asked.schema_ is not None):
        raise InvalidData("a variable cannot be set and removed at once")
    if not asked.remove and not given and asked.schema_ is None:
        raise InvalidData("nothing is said of the variable", hint="give `value`, `schema` or `remove`")
    said: dict[str, Any] = {}
    if asked.remove:
        said = await ask(call, to, RemoveVariable(asked.name, who))
    if asked.schema_ is not None:
        said = await ask(
            call, to, DeclareVariable(asked.name, asked.schema_, asked.merge, asked.secret, who), "declare"
        )
    if given:
        said = await ask(call, to, SetVariable(asked.name, asked.value, who))
    return _done(id, {"name": asked.name, **said})


def _done(id: str, said: dict[str, Any]) -> web.Response:
    return answer({**said, "conversation": id}, headers={REPLAYED: "true"} if said["duplicate"] else None)
