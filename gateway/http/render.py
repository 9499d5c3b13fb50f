"""A recorded event as this door shows it: flat, with numbers as numbers and `data` as the JSON it is."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from events.cloudevents import BASE64, JSON, NONE, encoding_of, from_event, rfc3339
from events.envelope import Event

_OURS: Final = frozenset(
    {
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "subject",
        "datacontenttype",
        "dataschema",
        "recordedtime",
        "correlationid",
        "causationid",
        "position",
        "streamversion",
        "schemaversion",
        "tenant",
        "stream",
        "traceparent",
    }
)

_encode = msgspec.json.Encoder().encode


def event_out(event: Event) -> dict[str, Any]:
    """The members of an event, see `models.EventOut`; `data` is a `msgspec.Raw`.

    Binary data of a foreign event is in `data_base64`, with `data` null. Attributes nobody knows are in `extensions`.
    """
    attributes = from_event(event)
    out: dict[str, Any] = {
        "position": event.position,
        "id": attributes["id"],
        "source": attributes["source"],
        "type": event.type,
        "tenant": event.tenant,
        "stream": event.stream,
        "version": event.version,
        "schema": event.schema,
        "time": attributes["time"],
        "recorded": rfc3339(event.recorded_at),
        "correlation": event.correlation,
        "causation": event.causation,
        "data": msgspec.Raw(event.data),
    }
    encoding = encoding_of(event)
    if encoding:
        out["encoding"] = encoding
        if encoding in (BASE64, NONE):
            out["data"] = None
        if encoding == BASE64:
            out["data_base64"] = msgspec.Raw(event.data)
    for name in ("subject", "dataschema"):
        if name in attributes:
            out[name] = attributes[name]
    media = attributes.get("datacontenttype")
    if media is not None and media != JSON:
        out["datacontenttype"] = media
    if event.trace is not None:
        out["trace"] = event.trace
    if " " not in event.id:
        if event.meta is not None:
            out["meta"] = msgspec.Raw(event.meta)
    elif extensions := {name: value for name, value in attributes.items() if name not in _OURS}:
        out["extensions"] = extensions
    return out


def event_json(event: Event) -> bytes:
    """`event_out` as JSON, without line breaks."""
    return _encode(event_out(event))
