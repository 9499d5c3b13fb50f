"""Data in any media type becomes JSON, and stays what it was."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache

import msgspec

from events.cloudevents.event import BASE64, MAX_DEPTH, MAX_SIZE, NONE, TEXT
from events.errors import InvalidData, TooLarge

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


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


def json_data(content: bytes | None, media: str | None, max_size: int, max_depth: int) -> tuple[bytes, str]:
    """The member `data` of a structured event."""
    if content is None:
        return b"null", NONE
    data = compact(content, max_size, max_depth)
    return data, TEXT if data.startswith(b'"') and not is_json(media) else ""


def any_data(
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
    check_depth(data, max_depth, "the data")
    try:
        _decode(data)
        return msgspec.json.format(data, indent=-1)
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidData(f"the data is not JSON: {error}") from None


def check_depth(data: bytes, limit: int, what: str) -> None:
    """Raise InvalidData when JSON is nested too deeply, without decoding it."""
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
