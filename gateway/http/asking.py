"""Asking actors for a route: typed messages under the caller's idempotency key, refusals as errors; fresh rows."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec

from events import cloudevents as ce
from events import ids
from events.envelope import Answer, Message
from events.errors import DeadlineExceeded, NotFound, Refused
from gateway.http.commands import declined
from gateway.http.context import correlation, deadline, key, patience, trace
from gateway.http.route import Call
from gateway.problems import Declined
from gateway.tokens import now
from projections.core.definition import Row
from projections.core.port import Page
from projections.core.query import Filter, Query

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

_MISSING = frozenset(("not-found", "version"))
"""Codes of refusals that say that something named does not exist."""

_LISTED = {
    "agent": "`GET /v1/agents` lists them",
    "asset": "`GET /v1/assets` lists them",
    "conversation": "`GET /v1/conversations` lists them",
    "policy": "`GET /v1/policies` lists them",
    "run": "`GET /v1/runs` lists them",
    "tool": "`GET /v1/tools` lists them",
    "workflow": "`GET /v1/workflows` lists them",
}
"""Where those of a kind are listed."""

CATCH_UP = 2.0
"""Seconds that a reader waits for rows to include what was recorded before it came; then it gets what there is."""


def keyed(call: Call, to: str, part: str = "") -> str:
    """An id that is the same whenever the request is repeated under its key; without a key a new one."""
    given = key(call.request)
    if given is None:
        return ids.random_id()
    return ids.keyed(call.tenant, call.principal.name, to, f"{given}\0{part}" if part else given)


def message(call: Call, to: str, data: msgspec.Struct, part: str = "", asked: bytes | None = None) -> Message:
    """The message of a request to an actor. `part` tells several of one request apart.

    `asked` is what was asked for, where the message also holds what was found meanwhile: it tells another request.
    """
    body = _encode(data)
    name = type(data).__name__
    id = keyed(call, to, part)
    return Message(
        id=id, type=name, to=to, tenant=call.tenant, body=body, sender=call.principal.name, time=now(), causation="",
        correlation=correlation(call.request) or id, schema=1, digest=ce.digest(name, body if asked is None else asked),
        trace=trace(call.request), deadline=deadline(call),
    )  # fmt: skip


async def send(call: Call, sent: Message) -> Answer:
    """Have it handled and committed; a refusal is an Answer. Raises DeadlineExceeded."""
    wait = patience(call)
    try:
        async with asyncio.timeout(wait + 1):
            return await call.door.client.ask(sent)
    except TimeoutError:
        raise DeadlineExceeded(f"{sent.to} did not answer {sent.id} within {wait:g} s") from None


async def ask(call: Call, to: str, data: msgspec.Struct, part: str = "") -> dict[str, Any]:
    """The reply, with `position` and `duplicate`. Raises what a refusal means: NotFound, InvalidData, Declined."""
    sent = message(call, to, data, part)
    return reply(sent, await send(call, sent))


async def told(call: Call, to: str, question: msgspec.Struct) -> dict[str, Any]:
    """What an actor says of itself; nothing is recorded. Raises NotFound where it says that there is no such thing."""
    wait = patience(call)
    try:
        async with asyncio.timeout(wait):
            found = await call.door.client.query(call.tenant, to, type(question).__name__, _encode(question))
    except TimeoutError:
        raise DeadlineExceeded(f"{to} did not answer within {wait:g} s", hint="nothing was recorded") from None
    except Refused as error:
        if error.reason_code in _MISSING:
            raise _missing(to, error) from None
        raise
    return _decode(found)


def reply(sent: Message, found: Answer) -> dict[str, Any]:
    """What an actor replied. Raises what a refusal means."""
    if found.outcome == "refused":
        error = declined(sent, found)
        if isinstance(error, Declined) and error.reason_code in _MISSING:
            raise _missing(sent.to, error)
        raise error
    said = _decode(found.data) if found.data else {}
    return {**said, "position": found.position, "duplicate": found.duplicate}


def _missing(to: str, error: Refused) -> NotFound:
    """An actor says that there is no such thing."""
    return NotFound(error.message, hint=_LISTED.get(to.partition("/")[0], ""))


# -- rows


async def caught_up(call: Call, projection: str) -> None:
    """Let the rows include all that is recorded now, as far as that is soon."""
    head = await call.door.store.head()
    with contextlib.suppress(DeadlineExceeded, NotFound):
        await call.door.projections.wait(projection, head, CATCH_UP)


async def page(call: Call, projection: str, query: Query) -> Page:
    """A page of rows that includes what was recorded before."""
    if query.after is None:
        await caught_up(call, projection)
    return await call.door.models.query(projection, query)


async def one(call: Call, projection: str, table: str, **keys: Any) -> Row | None:
    """The row of that key, or None."""
    where = [Filter(name, "=", value) for name, value in keys.items()]
    found = await call.door.models.query(projection, Query(call.tenant, table, where, limit=1))
    return found.rows[0] if found.rows else None


def limit(call: Call) -> int:
    """Rows of the page asked for."""
    return min(call.query.limit or call.settings.page, call.settings.max_page)
