"""Reading a body: its size, its time, its encoding, and JSON without ambiguity."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import msgspec
from aiohttp import web
from pydantic import BaseModel, ValidationError

from events.errors import InvalidData, TooLarge
from gateway.http.route import JSON, Call
from gateway.problems import BodyTimeout, UnsupportedMediaType

M = TypeVar("M", bound=BaseModel)

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


async def read(request: web.Request, limit: int, timeout: float) -> bytes:
    """The whole body. Raises TooLarge beyond `limit` bytes, BodyTimeout after `timeout` seconds."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise UnsupportedMediaType(f"content encoding {encoding!r} is not read here", hint="send the body as it is")
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(length, limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > limit:
                    raise _too_large(None, limit)
                chunks.append(chunk)
    except TimeoutError:
        raise BodyTimeout(f"the body did not arrive within {timeout:g} s, only {size} bytes did") from None
    return b"".join(chunks)


def _too_large(length: int | None, limit: int) -> TooLarge:
    what = "more" if length is None else f"{length} bytes"
    return TooLarge(f"the body has {what}, the limit is {limit} bytes")


def media_type(request: web.Request) -> str:
    """The content type in small letters, without parameters; empty when there is none.

    Raises UnsupportedMediaType for a JSON type in another charset than UTF-8.
    """
    header = request.headers.get("Content-Type", "")
    essence, _, parameters = header.partition(";")
    essence = essence.strip().lower()
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if (
            name.strip().lower() == "charset"
            and essence.endswith("json")
            and value.strip().strip('"').lower() not in ("utf-8", "utf8", "us-ascii")
        ):
            raise UnsupportedMediaType(f"JSON in charset {value.strip()} is not read here", hint="send UTF-8")
    return essence


def check_json(body: bytes, max_depth: int) -> Any:
    """The value of strict JSON: UTF-8, no duplicate member, no nesting beyond `max_depth`. Raises InvalidData.

    Duplicate members are refused because two readers would see two different requests.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidData(f"the body is not UTF-8: byte {error.start} is 0x{body[error.start]:02x}") from None
    try:
        value = _decode(body)
        if _encode(value) != msgspec.json.format(body, indent=-1):
            # Not what we would write ourselves: perhaps escapes or numbers in another form, perhaps a member too many.
            json.loads(text, object_pairs_hook=_no_duplicates)
    except (msgspec.DecodeError, json.JSONDecodeError) as error:
        raise InvalidData(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise _too_deep(max_depth) from None
    except ValueError as error:  # an integer too long for Python to read
        raise InvalidData(f"the body holds a number that is too long: {error}") from None
    if body.count(b"[") + body.count(b"{") > max_depth:
        _check_depth(value, max_depth)
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) > 1:
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidData(f"member {twice[:80]!r} appears twice in one JSON object", hint="send it once")


def _check_depth(value: Any, limit: int) -> None:
    level: list[Any] = [value]
    for depth in range(limit + 2):
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return
        if depth == limit:
            break
        level = [inner for item in level for inner in _inside(item)]
    raise _too_deep(limit)


def _inside(item: Any) -> Iterable[Any]:
    return cast("dict[str, Any]", item).values() if isinstance(item, dict) else item


def _too_deep(limit: int) -> InvalidData:
    return InvalidData(f"the body is nested more than {limit} levels deep")


async def model(call: Call, kind: type[M], *, optional: bool = False) -> M:
    """The JSON body as an instance of its model. With `optional`, no body at all is an empty object.

    Raises InvalidData naming the member, UnsupportedMediaType, TooLarge, BodyTimeout.
    """
    settings = call.settings
    found = media_type(call.request)
    if found != JSON and not (optional and not found and not call.request.can_read_body):
        raise UnsupportedMediaType(
            f"content type {found or '(none)'} is not read here", hint="send Content-Type: application/json"
        )
    body = await read(call.request, settings.max_event, settings.body_timeout)
    if not body and optional:
        body = b"{}"
    value = check_json(body, settings.max_depth + 1)
    if not isinstance(value, dict):
        raise InvalidData("the body is no JSON object", hint="send one: {…}")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise InvalidData(f"the body: {described(error)}") from None


def described(error: ValidationError) -> str:
    """What is wrong, where, in one line, without repeating what was sent."""
    parts: list[str] = []
    for item in error.errors(include_url=False, include_input=False, include_context=False)[:5]:
        place = ".".join(str(step) for step in item["loc"]) or "it"
        parts.append(f"{place}: {item['msg'][:1].lower()}{item['msg'][1:]}")
    return "; ".join(parts)
