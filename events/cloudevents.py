"""CloudEvents 1.0: what comes in from outside, in any content mode, and how the log's events go out again.

Parsing is strict (core specification and JSON format 1.0.2); an error names the attribute and, in a batch, the index.
Data becomes JSON, since that is what the log holds: JSON stays as it is (white space aside), text becomes a JSON
string, anything else a JSON string of base64; `encoding` remembers which, so that it is rendered back unchanged.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec

from events import ids
from events.address import check_type, feed_address
from events.envelope import Event, Message
from events.errors import Invalid, InvalidData, TooLarge

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
JSON: Final = "application/json"

MAX_SIZE: Final = 1024 * 1024
"""Bytes of data, unless the caller says otherwise."""
MAX_DEPTH: Final = 64
"""Levels of nested arrays and objects, unless the caller says otherwise."""
MAX_ATTRIBUTES: Final = 16 * 1024
"""Bytes of all attributes together."""
MAX_IDENTITY: Final = 1024
"""Bytes of source and id together: they are a key in the log."""

TEXT, BASE64, NONE = "text", "base64", "none"


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent. `data` is JSON; `encoding` says what it stands for: "" the JSON value itself, `text` a string that
    was plain text, `base64` bytes, `none` that there was no data. Extension values are canonical strings.
    """

    id: str
    source: str
    type: str
    data: bytes = b"null"
    time: str | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: dict[str, str] = {}
    encoding: str = ""


class _Meta(msgspec.Struct, omit_defaults=True):
    source: str = ""
    id: str = ""
    time: str | None = None
    subject: str | None = None
    dataschema: str | None = None
    datacontenttype: str | None = None
    encoding: str = ""
    extensions: dict[str, str] = {}


_NAME = re.compile(r"[a-z0-9]+")
_URI_REFERENCE = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+\s*(?:;.*)?")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:)(\d\d)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)")
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_HEADER_UNSAFE = re.compile(r'[^!#$&-~]|["%]')
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_CORE = frozenset({"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema"})

_check_type = lru_cache(maxsize=4096)(check_type)
_decode = msgspec.json.Decoder().decode
_decode_meta = msgspec.json.Decoder(_Meta).decode
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="sorted").encode


# -- coming in


def structured(body: bytes, *, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH) -> CloudEvent:
    """Parse `application/cloudevents+json`. Raises InvalidData, InvalidName, TooLarge."""
    return _structured(body, "", max_size, max_depth)


def batch(
    body: bytes, *, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH, max_events: int = 10_000
) -> list[CloudEvent]:
    """Parse `application/cloudevents-batch+json`; `max_size` is for each event. Errors name the index (from 0)."""
    _check_depth(body, max_depth + 2, "the batch")
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
    return _build(found, "", body, max_size, max_depth)


def _structured(body: bytes, where: str, max_size: int, max_depth: int) -> CloudEvent:
    if len(body) > max_size + max_size // 2 + MAX_ATTRIBUTES:
        raise TooLarge(f"{where}the event has {len(body)} bytes, its data may have {max_size}")
    _check_depth(body, max_depth + 1, where + "the event")
    try:
        members = _raw_object(body)
        data = members.pop("data", None)
        data64 = members.pop("data_base64", None)
        found = {name: _decode(value) for name, value in members.items()}
        text64 = None if data64 is None else _decode(data64)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidData(f"{where}not a CloudEvent in JSON: {error}") from None
    if text64 is None:
        return _build(found, where, None if data is None else bytes(data), max_size, max_depth, is_json=True)
    if data is not None:
        raise InvalidData(f"{where}data and data_base64 exclude each other", hint="send one of them")
    try:
        content = b64decode(text64, validate=True)
    except (ValueError, TypeError):
        raise InvalidData(f"{where}data_base64 is not base64") from None
    return _build(found, where, content, max_size, max_depth, keep_bytes=True)


def _build(
    found: dict[str, Any],
    where: str,
    content: bytes | None,
    max_size: int,
    max_depth: int,
    is_json: bool = False,
    keep_bytes: bool = False,
) -> CloudEvent:
    version = found.pop("specversion", None)
    if version != "1.0":
        what = "is required" if version is None else f"is {version!r}, only '1.0' is understood"
        raise InvalidData(f"{where}attribute specversion {what}", hint="a CloudEvent has specversion 1.0")
    size = 0
    kept: dict[str, str] = {}
    extensions: dict[str, str] = {}
    for name, value in found.items():
        if value is None:
            continue
        if not (value.__class__ is str and value.isascii() and value.isprintable()):
            value = _text(name, value, where)
        if name in _CORE:
            kept[name] = value
        elif _is_name(name):
            extensions[name] = value
        else:
            raise InvalidData(f"{where}{name!r} is not an attribute name", hint="a name is [a-z0-9]+, not `data`")
        size += len(name) + len(value)
    if size > MAX_ATTRIBUTES:
        raise TooLarge(f"{where}the attributes have {size} characters, the limit is {MAX_ATTRIBUTES}")
    get = kept.get
    id, source, type, media = get("id"), get("source"), get("type"), get("datacontenttype")
    if not id or not source or not type:
        missing = next(name for name in ("id", "source", "type") if not get(name))
        raise InvalidData(f"{where}attribute {missing} is required", hint="a CloudEvent has id, source and type")
    if not _is_uri_reference(source):
        raise InvalidData(f"{where}attribute source is {source!r}, not a URI reference", hint="percent-encode the rest")
    if len(source) + len(id) > MAX_IDENTITY // 4 and len(source) + len(id.encode()) > MAX_IDENTITY:
        raise TooLarge(f"{where}source and id together may have {MAX_IDENTITY} bytes")
    if len(kept) > 3:
        _check_optional(kept, where)
    try:
        _check_type(type)
        data, encoding = (
            _json_data(content, media, max_size, max_depth)
            if is_json
            else _data(content, media, max_size, max_depth, keep_bytes)
        )
    except Invalid as error:
        raise error.__class__(where + error.message, hint=error.hint) from None
    return CloudEvent(
        id=id,
        source=source,
        type=type,
        data=data,
        time=get("time"),
        subject=get("subject"),
        datacontenttype=media,
        dataschema=get("dataschema"),
        extensions=extensions,
        encoding=encoding,
    )


def _text(name: str, value: Any, where: str) -> str:
    if isinstance(value, str):
        if not (value.isascii() and value.isprintable()) and _FORBIDDEN.search(value):
            raise InvalidData(f"{where}attribute {name} holds a control character or a non-character")
        return value
    if name in _CORE:
        raise InvalidData(f"{where}attribute {name} must be a string, not {_encode(value).decode()[:40]}")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and -(2**31) <= value < 2**31:
        return str(value)
    raise InvalidData(
        f"{where}attribute {name} must be a string, a boolean or a 32-bit integer, not {_encode(value).decode()[:40]}"
    )


def _check_optional(kept: Mapping[str, str], where: str) -> None:
    time, subject = kept.get("time"), kept.get("subject")
    schema, media = kept.get("dataschema"), kept.get("datacontenttype")
    if time is not None and not _is_time(time):
        raise InvalidData(f"{where}attribute time is {time!r}, not RFC 3339", hint="e.g. 2026-11-23T12:00:00Z")
    if subject == "":
        raise InvalidData(f"{where}attribute subject is empty", hint="leave it out")
    if schema is not None and not _URI.fullmatch(schema):
        raise InvalidData(f"{where}attribute dataschema is {schema!r}, not an absolute URI")
    if media is not None and not _is_media_type(media):
        raise InvalidData(f"{where}attribute datacontenttype is {media!r}, not a media type", hint=f"e.g. {JSON}")


def _is_time(text: str) -> bool:
    match = _TIME.fullmatch(text)
    if match is None:
        return False
    day, minutes, second = match.groups()
    try:
        datetime.fromisoformat(f"{day}T{minutes}{'59' if second == '60' else second}")  # 60 is a leap second
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name != "data"


@lru_cache(maxsize=4096)
def _is_uri_reference(text: str) -> bool:
    return _URI_REFERENCE.fullmatch(text) is not None


@lru_cache(maxsize=256)
def _is_media_type(text: str) -> bool:
    return _MEDIA_TYPE.fullmatch(text) is not None


@lru_cache(maxsize=256)
def is_json(media: str | None) -> bool:
    """Whether a media type holds JSON; none at all means JSON too."""
    if media is None:
        return True
    essence = media.partition(";")[0].strip().lower()
    return essence.endswith(("/json", "+json"))


def _is_text(media: str) -> bool:
    essence = media.partition(";")[0].strip().lower()
    return essence.startswith("text/") or essence.endswith(("/xml", "+xml", "/yaml", "/x-www-form-urlencoded"))


def _json_data(content: bytes | None, media: str | None, max_size: int, max_depth: int) -> tuple[bytes, str]:
    """The member `data` of a structured event."""
    if content is None:
        return b"null", NONE
    data = compact(content, max_size, max_depth)
    return data, TEXT if data.startswith(b'"') and not is_json(media) else ""


def _data(
    content: bytes | None, media: str | None, max_size: int, max_depth: int, keep_bytes: bool
) -> tuple[bytes, str]:
    """The body of a binary event, or the bytes of `data_base64` (kept as bytes unless they are JSON)."""
    if content is None or (not content and not keep_bytes):
        return b"null", NONE
    if len(content) > max_size:
        raise TooLarge(f"the data has {len(content)} bytes, the limit is {max_size}")
    if is_json(media) and not (keep_bytes and media is None):
        try:
            return compact(content, max_size, max_depth), ""
        except InvalidData as error:
            raise InvalidData(
                error.message, hint=f"the media type is {media or 'not given, so JSON'}; set datacontenttype to another"
            ) from None
    if media is not None and _is_text(media) and not keep_bytes:
        try:
            return _encode(content.decode()), TEXT
        except UnicodeDecodeError:
            pass
    return _encode(b64encode(content).decode()), BASE64


def compact(data: bytes, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH) -> bytes:
    """The same JSON without white space; numbers and the order of members stay. Raises InvalidData, TooLarge."""
    if len(data) > max_size:
        raise TooLarge(f"the data has {len(data)} bytes, the limit is {max_size}")
    _check_depth(data, max_depth, "the data")
    try:
        _decode(data)
        return msgspec.json.format(data, indent=-1)
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidData(f"the data is not JSON: {error}") from None


def _check_depth(data: bytes, limit: int, what: str) -> None:
    if data.count(b"[") + data.count(b"{") <= limit:
        return
    depth = 0
    for byte in _STRINGS.sub(b"", data).translate(None, _NO_BRACKETS):
        if byte in b"[{":
            depth += 1
            if depth > limit:
                raise InvalidData(f"{what} is nested more than {limit} levels deep")
        else:
            depth -= 1


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
    meta = _Meta(
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


# -- going out


def rfc3339(us: int) -> str:
    """Microseconds since 1970 as RFC 3339 in UTC."""
    return (datetime(1970, 1, 1) + timedelta(microseconds=us)).isoformat(timespec="microseconds") + "Z"


def from_event(event: Event) -> dict[str, str]:
    """The CloudEvents attributes of a recorded event, with the extensions of this system, as strings.

    An event from outside keeps its own id, source, time and extensions; `recordedtime` is then when it was recorded.
    """
    source, space, id = event.id.partition(" ")
    meta = _decode_meta(event.meta) if space and event.meta else _Meta()
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


def headers(attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes as `ce-` headers of the HTTP and NATS bindings, values percent-encoded."""
    return {f"ce-{name}": percent_encode(value) for name, value in attributes.items()}


def percent_encode(value: str) -> str:
    """Encode what a header value may not hold (bindings, section 3.1.3.2)."""
    if not _HEADER_UNSAFE.search(value):
        return value
    return _HEADER_UNSAFE.sub(lambda m: "".join(f"%{b:02X}" for b in m.group().encode()), value)


def percent_decode(value: str) -> str:
    """Decode a header value: double-quoted strings, then one round of percent-decoding. Raises InvalidData."""
    if len(value) > 1 and value[0] == '"' == value[-1]:
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    if "%" not in value:
        return value
    try:
        return _PERCENT.sub(lambda m: bytes((int(m.group(1), 16),)), value.encode()).decode()
    except UnicodeDecodeError:
        raise InvalidData(f"a header value is not UTF-8 after percent-decoding: {value[:80]!r}") from None
