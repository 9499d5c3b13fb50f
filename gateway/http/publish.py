"""POST /v1/events: CloudEvents in, in any content mode, acknowledged after their commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from events import cloudevents as ce
from events.cloudevents import CloudEvent
from events.envelope import Answer, Message
from events.errors import Invalid, InvalidData, ThespisError
from events.registry import Registry
from events.system import SYSTEM_EVENTS
from gateway.http import body
from gateway.http.commands import declined
from gateway.http.context import correlation, deadline, trace
from gateway.http.guard import outward
from gateway.http.keys import GUARD
from gateway.http.route import Call, answer
from gateway.problems import Partial, UnsupportedMediaType, problem
from gateway.tokens import Principal, now

WINDOW: Final = 1024
"""Events of a batch that are under way at a time."""

_RESERVED: Final = frozenset(event.__name__ for event in SYSTEM_EVENTS)


async def publish(call: Call) -> web.Response:
    """Record events from outside. The same (source, id) again is answered with the position of the first time.

    A batch is checked as a whole before anything of it is sent. Should some of it fail to be recorded afterwards, the
    answer is a problem `partial` that lists what was, and the same batch may be sent again.
    """
    request, settings = call.request, call.settings
    media = body.media_type(request)
    if media == ce.BATCH:
        content = await body.read(request, settings.max_batch, settings.body_timeout)
        body.check_json(content, settings.max_depth + 3)
        events = ce.batch(
            content, max_size=settings.max_event, max_depth=settings.max_depth, max_events=settings.max_batch_events
        )
    elif media == ce.STRUCTURED:
        content = await body.read(request, settings.max_event * 3 // 2 + ce.MAX_ATTRIBUTES, settings.body_timeout)
        body.check_json(content, settings.max_depth + 2)
        events = [ce.structured(content, max_size=settings.max_event, max_depth=settings.max_depth)]
    else:
        events = [await _binary(call, media)]
    messages = [_message(call, event, f"event {n}: " if media == ce.BATCH else "") for n, event in enumerate(events)]
    call.request.app[GUARD].pay(call.principal, len(messages) - 1)
    return await _record(call, events, messages)


async def _binary(call: Call, media: str) -> CloudEvent:
    request, settings = call.request, call.settings
    attributes: dict[str, str] = {}
    for name, value in request.headers.items():
        if name.lower().startswith("ce-"):
            attribute = name[3:].lower()
            if attribute in attributes:
                raise InvalidData(f"header {name} is given twice", hint="send it once")
            attributes[attribute] = ce.percent_decode(value)
    if not attributes:
        raise UnsupportedMediaType(
            f"content type {media or '(none)'} without ce- headers is no CloudEvent",
            hint=f"send Content-Type: {ce.STRUCTURED} or {ce.BATCH}, or the headers ce-id, ce-source, ce-type and "
            "ce-specversion",
        )
    content = await body.read(request, settings.max_event, settings.body_timeout)
    kind = request.headers.get("Content-Type")
    if content and ce.is_json(kind):
        body.check_json(content, settings.max_depth)
    return ce.binary(attributes, content, kind, max_size=settings.max_event, max_depth=settings.max_depth)


def _message(call: Call, event: CloudEvent, where: str) -> Message:
    """The message of an event, checked against its type. Raises Invalid."""
    try:
        schema = _checked(event, call.door.registry)
        message = ce.to_message(event, call.tenant, call.principal.name, now())
    except Invalid as error:
        raise error.__class__(where + error.message, hint=error.hint) from None
    changes: dict[str, Any] = {"schema": schema, "deadline": deadline(call)}
    if message.trace is None:
        changes["trace"] = trace(call.request)
    if "correlationid" not in event.extensions and (given := correlation(call.request)):
        changes["correlation"] = given
    return msgspec.structs.replace(message, **changes)


def _checked(event: CloudEvent, registry: Registry) -> int:
    """The schema version of an event's data, which fits it if the type is registered. Raises InvalidData."""
    if event.type in _RESERVED:
        raise InvalidData(f"type {event.type} is the kernel's own", hint="choose another name")
    found = registry.get(event.type)
    text = event.extensions.get("schemaversion")
    if text is not None and not (text.isascii() and text.isdigit() and 1 <= int(text[:10]) < 2**15):
        raise InvalidData(f"attribute schemaversion is {text[:40]!r}, not a version", hint="versions count from 1")
    if found is None:
        return int(text) if text else 1
    schema = int(text) if text else found.schema
    if not registry.understands(event.type, schema):
        raise InvalidData(f"{event.type} has no schema version {schema}", hint=f"the newest is {found.schema}")
    registry.decode(event.type, schema, event.data)
    return schema


async def _record(call: Call, events: Sequence[CloudEvent], messages: Sequence[Message]) -> web.Response:
    results: list[Answer | ThespisError] = []
    for start in range(0, len(messages), WINDOW):
        window = messages[start : start + WINDOW]
        results += await asyncio.gather(*(_ask(call, message) for message in window))
    who = call.principal
    done = sum(isinstance(result, Answer) for result in results)
    call.door.metrics.add("thespis_http_published_events_total", done)
    if done == len(results):
        return answer({"events": [_out(event, result, who) for event, result in zip(events, results, strict=True)]})
    first = next(result for result in results if isinstance(result, ThespisError))
    if len(results) == 1:
        raise first
    raise Partial(
        f"{len(results) - done} of {len(results)} events are not known to be recorded: {outward(first, who).message}",
        {"events": [_out(event, result, who) for event, result in zip(events, results, strict=True)]},
    )


async def _ask(call: Call, message: Message) -> Answer | ThespisError:
    try:
        found = await call.door.client.ask(message)
    except ThespisError as error:
        return error
    if found.outcome == "refused":
        return declined(message, found)
    return found


def _out(event: CloudEvent, result: Answer | ThespisError, who: Principal) -> dict[str, Any]:
    if isinstance(result, ThespisError):
        return {"id": event.id, "source": event.source, "error": problem(outward(result, who))}
    out: dict[str, Any] = {"id": event.id, "position": result.position}
    if result.duplicate:
        out["duplicate"] = True
    return out
