"""CloudEvents 1.0: what comes in from outside, in any content mode, and how the log's events go out again.

Parsing is strict (core specification and JSON format 1.0.2); an error names the attribute and, in a batch, the index.
Data becomes JSON, since that is what the log holds: JSON stays as it is (white space aside), text becomes a JSON
string, anything else a JSON string of base64; `encoding` remembers which, so that it is rendered back unchanged.
"""

from __future__ import annotations

from events.cloudevents.data import compact, is_json
from events.cloudevents.event import (
    BASE64,
    BATCH,
    JSON,
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_IDENTITY,
    MAX_SIZE,
    NONE,
    STRUCTURED,
    TEXT,
    CloudEvent,
)
from events.cloudevents.headers import headers, percent_decode, percent_encode
from events.cloudevents.message import digest, to_message
from events.cloudevents.parsing import batch, binary, from_nats, structured
from events.cloudevents.rendering import content, encoding_of, from_event, render, rfc3339

__all__ = [
    "BASE64",
    "BATCH",
    "JSON",
    "MAX_ATTRIBUTES",
    "MAX_DEPTH",
    "MAX_IDENTITY",
    "MAX_SIZE",
    "NONE",
    "STRUCTURED",
    "TEXT",
    "CloudEvent",
    "batch",
    "binary",
    "compact",
    "content",
    "digest",
    "encoding_of",
    "from_event",
    "from_nats",
    "headers",
    "is_json",
    "percent_decode",
    "percent_encode",
    "render",
    "rfc3339",
    "structured",
    "to_message",
]
