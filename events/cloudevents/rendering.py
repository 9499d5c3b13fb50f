"""Going out: a recorded event as a CloudEvent."""

from __future__ import annotations

from base64 import b64decode
from datetime import datetime, timedelta
from typing import Any

import msgspec

from events.cloudevents.event import BASE64, JSON, NONE, Meta
from events.envelope import Event

_decode = msgspec.json.Decoder().decode
_decode_meta = msgspec.json.Decoder(Meta).decode


def rfc3339(us: int) -> str:
    """Microseconds since 1970 as RFC 3339 in UTC."""
    return (datetime(1970, 1, 1) + timedelta(microseconds=us)).isoformat(timespec="microseconds") + "Z"


def from_event(event: Event) -> dict[str, str]:
    """The CloudEvents attributes of a recorded event, with the extensions of this system, as strings.

    An event from outside keeps its own id, source, time and extensions; `recordedtime` is then when it was recorded.
    """
    source, space, id = event.id.partition(" ")
    meta = _decode_meta(event.meta) if space and event.meta else Meta()
    recorded = rfc3339(event.recorded_at)
    out = {
        "specversion": "1.0",
        "id": id if space else event.id,
        "source": source if space else f"/{event.tenant}/{event.stream}",
        "type": event.type,
        "time": meta.time or recorded,
    }
    if meta.subject is not None:
        out["subject"] = meta.subject
    if meta.datacontenttype is not None or not space:
        out["datacontenttype"] = meta.datacontenttype or JSON
    if meta.dataschema is not None:
        out["dataschema"] = meta.dataschema
    out.update(meta.extensions)
    if meta.time is not None:
        out["recordedtime"] = recorded
    out["correlationid"] = event.correlation
    out["causationid"] = event.causation
    out["position"] = str(event.position)
    out["streamversion"] = str(event.version)
    out["schemaversion"] = str(event.schema)
    out["tenant"] = event.tenant
    out["stream"] = event.stream
    if event.trace is not None:
        out["traceparent"] = event.trace
    return out


def encoding_of(event: Event) -> str:
    """What the JSON of an event stands for, see `CloudEvent.encoding`."""
    return _decode_meta(event.meta).encoding if event.meta is not None and " " in event.id else ""


def render(event: Event) -> dict[str, Any]:
    """The structured form of a recorded event, ready for `msgspec.json.encode`; `data` is a `msgspec.Raw`."""
    out: dict[str, Any] = dict(from_event(event))
    encoding = encoding_of(event)
    if encoding == BASE64:
        out["data_base64"] = msgspec.Raw(event.data)
    elif encoding != NONE:
        out["data"] = msgspec.Raw(event.data)
    return out


def content(event: Event) -> bytes:
    """The body of the binary form of a recorded event."""
    encoding = encoding_of(event)
    if not encoding:
        return event.data
    if encoding == NONE:
        return b""
    text: str = _decode(event.data)
    return b64decode(text) if encoding == BASE64 else text.encode()
