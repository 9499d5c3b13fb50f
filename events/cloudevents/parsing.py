"""Coming in: structured, in a batch, binary, or as the NATS binding has it."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from events.cloudevents.attributes import build
from events.cloudevents.data import check_depth
from events.cloudevents.event import MAX_ATTRIBUTES, MAX_DEPTH, MAX_SIZE, STRUCTURED, CloudEvent
from events.cloudevents.headers import percent_decode
from events.errors import InvalidData, TooLarge

_CONTENT_TYPE = "content-type"
_decode = msgspec.json.Decoder().decode
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def structured(body: bytes, *, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH) -> CloudEvent:
    """Parse `application/cloudevents+json`. Raises InvalidData, InvalidName, TooLarge."""
    return _structured(body, "", max_size, max_depth)


def batch(
    body: bytes, *, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH, max_events: int = 10_000
) -> list[CloudEvent]:
    """Parse `application/cloudevents-batch+json`; `max_size` is for each event. Errors name the index (from 0)."""
    check_depth(body, max_depth + 2, "the batch")
    try:
        items = _raw_list(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidData(f"the batch is not a JSON array of events: {error}") from None
    if len(items) > max_events:
        raise TooLarge(f"the batch has {len(items)} events, the limit is {max_events}", hint="send smaller batches")
    return [_structured(bytes(item), f"event {n}: ", max_size, max_depth) for n, item in enumerate(items)]


def binary(
    attributes: Mapping[str, str],
    body: bytes,
    content_type: str | None = None,
    *,
    max_size: int = MAX_SIZE,
    max_depth: int = MAX_DEPTH,
) -> CloudEvent:
    """Parse binary mode: decoded attributes without their prefix (`specversion`, `id`, …), the data, and its media type
    when the protocol carries that apart. Raises InvalidData, InvalidName, TooLarge.
    """
    found: dict[str, Any] = dict(attributes)
    if found.get("datacontenttype") is None:
        found["datacontenttype"] = content_type
    return build(found, "", body, max_size, max_depth)


def _structured(body: bytes, where: str, max_size: int, max_depth: int) -> CloudEvent:
    if len(body) > max_size + max_size // 2 + MAX_ATTRIBUTES:
        raise TooLarge(f"{where}the event has {len(body)} bytes, its data may have {max_size}")
    check_depth(body, max_depth + 1, where + "the event")
    try:
        members = _raw_object(body)
        data = members.pop("data", None)
        data64 = members.pop("data_base64", None)
        found = {name: _decode(value) for name, value in members.items()}
        text64 = None if data64 is None else _decode(data64)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidData(f"{where}not a CloudEvent in JSON: {error}") from None
    if text64 is None:
        return build(found, where, None if data is None else bytes(data), max_size, max_depth, is_json=True)
    if data is not None:
        raise InvalidData(f"{where}data and data_base64 exclude each other", hint="send one of them")
    try:
        content = b64decode(text64, validate=True)
    except (ValueError, TypeError):
        raise InvalidData(f"{where}data_base64 is not base64") from None
    return build(found, where, content, max_size, max_depth, keep_bytes=True)


def from_nats(
    headers: Mapping[str, str], data: bytes, *, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH
) -> CloudEvent:
    """Parse a NATS message, binary or structured. Raises InvalidData, InvalidName, TooLarge."""
    attributes: dict[str, str] = {}
    for name, value in headers.items():
        attribute = _attribute(name)
        if attribute is not None:
            attributes[attribute] = percent_decode(value) if "%" in value or value[:1] == '"' else value
    content_type = attributes.pop(_CONTENT_TYPE, None)
    if content_type is not None and content_type.lower().startswith("application/cloudevents"):
        if not content_type.lower().partition(";")[0].strip().endswith("+json"):
            raise InvalidData(f"events in {content_type} are not understood", hint=f"send {STRUCTURED}")
        return structured(data, max_size=max_size, max_depth=max_depth)
    if "specversion" not in attributes and data[:1] == b"{" and len(attributes) == ("traceparent" in attributes):
        # a structured event from a client without headers
        return structured(data, max_size=max_size, max_depth=max_depth)
    return binary(attributes, data, content_type, max_size=max_size, max_depth=max_depth)


@lru_cache(maxsize=1024)
def _attribute(header: str) -> str | None:
    """The attribute a header carries; header names are looked at without case."""
    name = header.lower()
    if name.startswith("ce-"):
        return name[3:]
    return name if name in (_CONTENT_TYPE, "traceparent") else None
