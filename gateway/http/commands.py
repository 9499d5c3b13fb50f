"""Messages to actors: ask, tell and query."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from aiohttp import web

from events import cloudevents as ce
from events import ids
from events.address import FOREIGN, address, check_type
from events.envelope import Answer, Message
from events.errors import DeadlineExceeded, Forbidden, InvalidData, ThespisError, UnknownType
from gateway.http import body
from gateway.http.context import REPLAYED, correlation, deadline, key, patience, trace
from gateway.http.models import MessageIn, QueryIn
from gateway.http.route import Call, answer
from gateway.problems import Declined
from gateway.tokens import now

INNER_KINDS = frozenset({"feed", "system"}) | FOREIGN
"""Kinds that take no messages from outside: feeds get theirs from POST /v1/events, system actors from the system, and
streams of other libraries none at all."""

SCOPES: Final = {
    "approval": "approvals:write",
    "tool": "approvals:write",
    "call": "tools:write",
    "policy": "admin",
    "budget": "admin",
    "agent": "agents:write",
    "conversation": "conversations:write",
    "inquiry": "conversations:write",
    "workflow": "workflows:write",
    "run": "runs:write",
}
"""By kind: what a token needs besides, to speak to what has routes of its own. This door is no way around theirs."""

_encode = msgspec.json.Encoder().encode


class _Refusal(msgspec.Struct):
    code: str = "refused"
    reason: str = ""


_refusal = msgspec.json.Decoder(_Refusal).decode


def target(call: Call) -> str:
    """The address in the path. Raises InvalidName."""
    return address(call.path("kind"), call.path("id"))


async def ask(call: Call) -> web.Response:
    """Send a message and wait for its commit and its reply."""
    return await _send(call, reply=True)


async def tell(call: Call) -> web.Response:
    """Send a message and wait for its commit only."""
    return await _send(call, reply=False)


async def _send(call: Call, *, reply: bool) -> web.Response:
    to = target(call)
    if call.path("kind") in INNER_KINDS:
        raise Forbidden(f"{to} takes no messages from outside", hint="publish events with `POST /v1/events`")
    needed = SCOPES.get(call.path("kind"), "")
    if not call.principal.allows(needed):
        raise Forbidden(f"the token of {call.principal.name} lacks the scope {needed}, which {to} takes messages with")
    sent = await body.model(call, MessageIn)
    message = _message(call, to, sent)
    wait = patience(call)
    try:
        async with asyncio.timeout(wait + 1):
            found = await call.door.client.ask(message)
    except TimeoutError:
        raise DeadlineExceeded(f"{to} did not answer {message.id} within {wait:g} s") from None
    if found.outcome == "refused":
        raise declined(message, found)
    out = _out(message, found)
    if reply:
        out["reply"] = None if found.data is None else msgspec.Raw(found.data)
    return answer(out, headers={REPLAYED: "true"} if found.duplicate else None)


def _message(call: Call, to: str, sent: MessageIn) -> Message:
    given = key(call.request)
    content = _encode(sent.data)
    id = ids.random_id() if given is None else ids.keyed(call.tenant, call.principal.name, to, given)
    return Message(
        id=id,
        type=check_type(sent.message),
        to=to,
        tenant=call.tenant,
        body=content,
        sender=call.principal.name,
        time=now(),
        causation="",
        correlation=correlation(call.request) or id,
        schema=sent.schema_,
        digest=ce.digest(sent.message, content),
        trace=trace(call.request),
        deadline=deadline(call),
    )


def _out(message: Message, found: Answer) -> dict[str, Any]:
    return {
        "id": message.id,
        "outcome": found.outcome,
        "position": found.position,
        "version": found.version,
        "duplicate": found.duplicate,
    }


def declined(message: Message, found: Answer) -> ThespisError:
    """A refusal as an error.

    What the kernel refused before the actor saw it (a type its kind does not have, a body that does not fit) is the
    caller's mistake; else it is the actor's decision, with its own code and reason, and where it is recorded.
    """
    said = _refusal(found.data or b"{}")
    reason = said.reason or f"{message.to} refused {message.type}"
    for error in (UnknownType, InvalidData):
        if said.code == error.code:
            return error(reason)
    return Declined(reason, code=said.code, extra=_out(message, found))


async def query(call: Call) -> web.Response:
    """Ask an actor's `query` function: nothing is recorded."""
    to = target(call)
    asked = await body.model(call, QueryIn)
    wait = patience(call)
    try:
        async with asyncio.timeout(wait):
            found = await call.door.client.query(call.tenant, to, asked.question, _encode(asked.data))
    except TimeoutError:
        raise DeadlineExceeded(f"{to} did not answer within {wait:g} s", hint="nothing was recorded") from None
    return answer({"address": to, "answer": msgspec.Raw(found)})
