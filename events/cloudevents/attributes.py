"""Attributes, checked one by one against the core specification."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from events.address import check_type
from events.cloudevents.data import any_data, json_data
from events.cloudevents.event import JSON, MAX_ATTRIBUTES, MAX_IDENTITY, CloudEvent
from events.errors import Invalid, InvalidData, TooLarge

_NAME = re.compile(r"[a-z0-9]+")
_URI_REFERENCE = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+\s*(?:;.*)?")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:)(\d\d)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)")
FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
CORE: Final = frozenset({"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema"})

_check_type = lru_cache(maxsize=4096)(check_type)
_encode = msgspec.json.Encoder().encode


def build(
    found: dict[str, Any],
    where: str,
    content: bytes | None,
    max_size: int,
    max_depth: int,
    is_json: bool = False,
    keep_bytes: bool = False,
) -> CloudEvent:
    """The event of these attributes and this content. `where` begins every error."""
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
        if name in CORE:
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
            json_data(content, media, max_size, max_depth)
            if is_json
            else any_data(content, media, max_size, max_depth, keep_bytes)
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
        if not (value.isascii() and value.isprintable()) and FORBIDDEN.search(value):
            raise InvalidData(f"{where}attribute {name} holds a control character or a non-character")
        return value
    if name in CORE:
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
