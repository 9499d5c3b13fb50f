"""POST /v1/dead-letters/{position}/resolve: a message nobody could deliver is sent again, or dismissed; recorded."""

from __future__ import annotations

from base64 import b64decode
from typing import Any, Final

import msgspec
from aiohttp import web

from events import cloudevents as ce
from events import ids
from events.cloudevents import CloudEvent
from events.envelope import Answer, Event, Message
from events.errors import Conflict, Invalid, InvalidData, KeyReused, NotFound, Unserved
from events.system import DeadLetterResolved
from gateway.http import body
from gateway.http.commands import declined
from gateway.http.context import deadline
from gateway.http.models import LetterIn
from gateway.http.projections import reach
from gateway.http.route import Call, answer
from gateway.tokens import now
from projections.core.query import Filter, Query

SOURCE: Final = "dead-letters"
"""The source in whose feed dead letters of the spool stand, and every resolution."""
RECORDER: Final = "system/spool"
"""The sender whose events of the kernel's own types are taken."""


class _Letter(msgspec.Struct):
    """`events.system.DeadLettered`, and what the spool keeps to send it again. `size`: bytes of the whole body."""

    message: str
    message_type: str
    to: str
    reason: str
    headers: dict[str, str] = {}
    body_base64: str | None = None
    size: int | None = None


async def resolve(call: Call) -> web.Response:
    """Send a dead letter's message again, mended if need be, or let it go with a reason."""
    asked = await body.model(call, LetterIn)
    event, letter = await _letter(call, call.path("position"))
    status = "retried" if asked.action == "retry" else "dismissed"
    note = DeadLetterResolved(event.id, event.stream, letter.message, status, call.principal.name, asked.reason)
    content = msgspec.json.encode(note)
    resolution = CloudEvent(id=f"resolved-{event.position}", source=SOURCE, type="DeadLetterResolved", data=content)
    message = ce.to_message(resolution, call.tenant, RECORDER, now())
    before = (await call.door.store.answers([message.id])).get(message.id)
    if before is not None and before[0] != message.digest:
        raise Conflict(f"the dead letter at position {event.position} is resolved already")
    sent: list[dict[str, Any]] = []
    if asked.action == "retry":
        if event.stream.startswith("router/"):
            if asked.event is not None:
                raise Invalid("a fact cannot be mended", hint="mend the subscription's function, then retry without it")
            messages = await _routed(call, event, letter)
        else:
            messages = [_spooled(call, letter, asked.event)]
        for one in messages:
            found = await _ask(call, one)
            sent.append({"to": one.to, "type": one.type, "position": found.position, "duplicate": found.duplicate})
    try:
        recorded = await _ask(call, message)
    except KeyReused:
        raise Conflict(f"the dead letter at position {event.position} is resolved already") from None
    return answer({"status": status, "position": recorded.position, "version": recorded.version, "sent": sent})


async def _letter(call: Call, text: str) -> tuple[Event, _Letter]:
    position = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    found = await call.door.store.read(position - 1, 1) if position else []
    if not found or found[0].position != position or found[0].tenant != call.tenant or found[0].type != "DeadLettered":
        raise NotFound(f"there is no dead letter at position {text[:40]}", hint="the inbox lists them: opened_position")
    try:
        return found[0], msgspec.json.decode(found[0].data, type=_Letter)
    except msgspec.MsgspecError as error:
        raise InvalidData(f"the dead letter at position {text} cannot be read: {error}", hint="dismiss it") from None


async def _ask(call: Call, message: Message) -> Answer:
    found = await call.door.client.ask(msgspec.structs.replace(message, deadline=deadline(call)))
    if found.outcome == "refused":
        raise declined(message, found)
    return found


def _spooled(call: Call, letter: _Letter, mended: dict[str, Any] | None) -> Message:
    """What the spool could not deliver, parsed again as the spool does."""
    settings = call.settings
    limits = {"max_size": settings.max_event, "max_depth": settings.max_depth}
    if mended is not None:
        event = ce.structured(msgspec.json.encode(mended), **limits)
    elif letter.body_base64 is None:
        raise Invalid("the dead letter does not hold its message", hint="give the event to send, or dismiss it")
    else:
        content = b64decode(letter.body_base64)
        if letter.size is not None and letter.size > len(content):
            raise Invalid(
                f"the dead letter holds {len(content)} of its message's {letter.size} bytes",
                hint="give the event to send, or publish it again at its source and dismiss this",
            )
        event = ce.from_nats(letter.headers, content, **limits)
    kind = (event.subject or "").partition("/")[0]
    to = event.subject if kind != "feed" and kind in call.door.kinds else None
    return ce.to_message(event, call.tenant, call.principal.name, now(), to)


async def _routed(call: Call, event: Event, letter: _Letter) -> list[Message]:
    """What a subscription should have sent for a fact; with the router's ids, so none comes twice."""
    kind = call.door.kinds.get(event.stream.partition("/")[2])
    fact = await _fact(call, letter.message)
    route = kind.subscribes.get(fact.type) if kind is not None else None
    if route is None:
        raise Unserved(f"no kind here subscribes to {fact.type} as {event.stream} did", hint="dismiss it")
    try:
        to: Any = route(call.door.registry.decode(fact.type, fact.schema, fact.data), fact)
        addresses: list[str] = [to] if isinstance(to, str) else list(to or ())
    except Exception as error:
        raise Conflict(
            f"the subscription of {event.stream} still fails: {type(error).__name__}: {error}",
            hint="mend its function, restart the hosts, then retry",
        ) from error
    return [
        Message(
            id=ids.keyed(fact.tenant, "subscription", address, fact.id), type=fact.type, to=address, tenant=fact.tenant,
            body=fact.data, sender=call.principal.name, time=fact.recorded_at, causation=fact.id,
            correlation=fact.correlation, schema=fact.schema, trace=fact.trace, meta=fact.meta,
        )
        for address in addresses
    ]  # fmt: skip


async def _fact(call: Call, id: str) -> Event:
    """The event of an id, by the projection `events`."""
    await reach(call, "events", await call.door.store.head())
    source, space, name = id.partition(" ")
    where = [Filter("id", "=", name), Filter("source", "=", source)] if space else [Filter("id", "=", id)]
    rows = (await call.door.models.query("events", Query(call.tenant, None, where, limit=1))).rows
    found = await call.door.store.read(rows[0]["position"] - 1, 1) if rows else []
    if not found or found[0].id != id:
        raise NotFound(f"the fact {id} is not in the log any more", hint="dismiss the dead letter")
    return found[0]
