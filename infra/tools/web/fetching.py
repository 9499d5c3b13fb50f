"""One guarded GET: redirects by hand, every size and time bounded, nothing of this machine's settings used."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from hashlib import sha256
from typing import Final

import aiohttp
import msgspec

from actors.tools.tool import ToolError
from infra.tools.web.guard import Blocked, Guard, Unreachable
from infra.tools.web.urls import Target, joined, target

AGENT: Final = "thespis/0.1 (+web.fetch)"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PIECE: Final = 64 * 1024


class Limits(msgspec.Struct, frozen=True):
    """Seconds and bytes of one fetch. `transferred` is what comes over the wire, `body` what it is unpacked."""

    redirects: int = 5
    connect: float = 10.0
    headers: float = 15.0
    total: float = 30.0
    transferred: int = 4 * 1024 * 1024
    body: int = 8 * 1024 * 1024
    header_bytes: int = 16 * 1024


class Page(msgspec.Struct, frozen=True):
    """What came. `way` are the URLs asked for, the last one the page's own; `hash` the SHA-256 of `body`, unpacked."""

    url: str
    status: int
    content_type: str
    charset: str
    body: bytes
    hash: str
    way: list[str]


class TooLarge(ToolError):
    """More came than is taken."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="too-large")


async def fetch(
    url: str, guard: Guard, limits: Limits, *, accept: str = "*/*", trust: ssl.SSLContext | None = None
) -> Page:
    """The page at a URL, after at most `limits.redirects` redirects, each judged like the first.

    Raises ToolError with a code: bad-url, blocked, unreachable, timeout, redirect, too-large, encoding, connection.
    """
    place = target(url)
    way = [str(place)]
    try:
        async with asyncio.timeout(limits.total):
            while True:
                found = await _once(place, guard, limits, accept, trust, way)
                if isinstance(found, Page):
                    return found
                if len(way) > limits.redirects:
                    raise ToolError(f"more than {limits.redirects} redirects from {url}", code="redirect")
                place = joined(place, found)
                way.append(str(place))
    except TimeoutError:
        raise ToolError(f"{place}: no answer within {limits.total:g} s", code="timeout") from None


async def _once(
    place: Target, guard: Guard, limits: Limits, accept: str, trust: ssl.SSLContext | None, way: list[str]
) -> Page | str:
    """A page, or the URL that the answer redirects to."""
    connector, trace = guard.connector(place)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=limits.connect, sock_read=limits.headers)
    headers = {
        "User-Agent": AGENT,
        "Accept": accept,
        "Accept-Encoding": "gzip, deflate",
        "Accept-Language": "en, *;q=0.5",
    }
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=timeout, headers=headers, cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False, auto_decompress=False, trace_configs=[trace], max_line_size=limits.header_bytes,
                max_field_size=limits.header_bytes, requote_redirect_url=False,
            ) as session,
            asyncio.timeout(limits.connect + limits.headers) as patience,
            session.get(place.url, allow_redirects=False, ssl=True if trust is None else trust) as response,
        ):  # fmt: skip
            patience.reschedule(None)
            location = response.headers.get("Location")
            if response.status in _REDIRECTS and location:
                return location
            packed = await _read(response, limits)
            body = _unpacked(packed, response.headers.get("Content-Encoding", ""), limits.body)
            return Page(
                str(place), response.status, response.content_type.lower(), response.charset or "", body,
                sha256(body).hexdigest(), list(way),
            )  # fmt: skip
    except ToolError:
        raise
    except TimeoutError:
        raise ToolError(f"{place}: no answer in time", code="timeout") from None
    except (aiohttp.ClientConnectorError, aiohttp.ClientOSError) as error:
        guarded = _within(error)
        raise guarded or Unreachable(f"{place}: {error}") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise ToolError(f"{place}: {error or type(error).__name__}"[:500], code="connection") from None


def _within(error: BaseException) -> Blocked | None:
    """What the guard said, if that is what came of a connection."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, Blocked):
            return at
        at = at.__cause__ or at.__context__
    return None


async def _read(response: aiohttp.ClientResponse, limits: Limits) -> bytes:
    said = response.content_length
    if said is not None and said > limits.transferred:
        raise TooLarge(f"{response.url} is {said} bytes, more than {limits.transferred}")
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_chunked(_PIECE):
        size += len(piece)
        if size > limits.transferred:
            raise TooLarge(f"{response.url} is larger than {limits.transferred} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _unpacked(packed: bytes, encoding: str, most: int) -> bytes:
    """The body as it was before it was packed; unpacking stops at `most` bytes, so that a bomb does not go off."""
    match encoding.strip().lower():
        case "" | "identity":
            if len(packed) > most:
                raise TooLarge(f"the page is larger than {most} bytes")
            return packed
        case "gzip" | "x-gzip":
            return _inflated(packed, 16 + zlib.MAX_WBITS, most)
        case "deflate":
            wrapped = len(packed) > 1 and packed[0] & 0x0F == 8 and (packed[0] << 8 | packed[1]) % 31 == 0
            return _inflated(packed, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS, most)
        case other:
            raise ToolError(f"the page is encoded as {other[:40]!r}, which was not asked for", code="encoding")


def _inflated(packed: bytes, bits: int, most: int) -> bytes:
    made = bytearray()
    try:
        while packed:
            unpacker = zlib.decompressobj(bits)
            made += unpacker.decompress(packed, most + 1 - len(made))
            if len(made) > most:
                raise TooLarge(f"the page unpacks to more than {most} bytes")
            if not unpacker.eof:
                raise ToolError("the page's compressed form breaks off", code="encoding")
            packed = unpacker.unused_data if bits > zlib.MAX_WBITS else b""  # gzip may have several members
    except zlib.error as error:
        raise ToolError(f"the page cannot be unpacked: {error}", code="encoding") from None
    return bytes(made)
