"""From an outside event to the message that has it recorded."""

from __future__ import annotations

import msgspec

from events import ids
from events.address import feed_address
from events.cloudevents.event import CloudEvent, Meta
from events.envelope import Message

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="sorted").encode


def digest(type: str, data: bytes) -> bytes:
    """16 bytes that are the same for the same JSON value, however it was written."""
    return ids.digest(type, _canonical(_decode(data)))


def to_message(event: CloudEvent, tenant: str, principal: str, now_us: int, to: str | None = None) -> Message:
    """The message that brings an event to the feed of its source, or to the actor `to`.

    Its id depends on tenant, source and id alone, so a repetition gets the first answer; another body is KeyReused.
    `now_us` is microseconds since 1970.
    """
    id = ids.keyed(tenant, "ce", event.source, event.id)
    extensions = event.extensions
    meta = Meta(
        event.source,
        event.id,
        event.time,
        event.subject,
        event.dataschema,
        event.datacontenttype,
        event.encoding,
        extensions,
    )
    return Message(
        id=id,
        type=event.type,
        to=to or feed_address(event.source),
        tenant=tenant,
        body=event.data,
        sender=principal,
        time=now_us,
        causation=extensions.get("causationid", ""),
        correlation=extensions.get("correlationid", id),
        digest=digest(event.type, event.data),
        trace=extensions.get("traceparent"),
        meta=_encode(meta),
    )
