"""Streamable HTTP with bounded answers, and errors that say whether the server can have acted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
import msgspec
from mcp.client.streamable_http import streamable_http_client

NOT_SENT: Final = -32097
"""The request did not reach the server."""
REFUSED: Final = -32098
"""The server (or what stands before it) turned the request away by its status."""
BROKEN: Final = -32099
"""The connection broke, or the answer was none: the server may have acted."""


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends in an error when it grows too large or breaks off."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for piece in self._stream:
                size += len(piece)
                if size > self._most:
                    raise httpx2.StreamError(f"the answer is larger than {self._most} bytes")
                yield piece
        except httpx2.TransportError as error:
            raise httpx2.StreamError(f"the connection broke: {type(error).__name__}") from error

    async def aclose(self) -> None:
        await self._stream.aclose()


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Sends by another transport. Answers to a POST that are no answers become JSON-RPC errors of our own codes."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, most: int) -> None:
        self._inner = inner
        self._most = most

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request. A connection that did not come about is NOT_SENT, one that broke BROKEN."""
        request.headers["Accept-Encoding"] = "identity"
        post = request.method == "POST"
        try:
            response = await self._inner.handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            if not post:
                raise
            return _error(NOT_SENT, f"it cannot be reached ({type(error).__name__})")
        except httpx2.TransportError as error:
            if not post:
                raise
            return _error(BROKEN, f"the connection broke ({type(error).__name__})")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            return _error(BROKEN, "it answered in an encoding that was not asked for")
        json = response.headers.get("content-type", "").lower().startswith("application/json")
        if post and response.status_code >= 400 and response.status_code != 404 and not json:
            await response.aclose()
            code = REFUSED if response.status_code < 500 else BROKEN
            return _error(code, f"it answered with status {response.status_code}")
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        streamed = "text/event-stream" in response.headers.get("content-type", "").lower()
        return httpx2.Response(
            response.status_code, headers=response.headers, extensions=response.extensions,
            stream=stream if streamed else _Bounded(stream, self._most),
        )  # fmt: skip

    async def aclose(self) -> None:
        """Close the other one."""
        await self._inner.aclose()


def _error(code: int, message: str) -> httpx2.Response:
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}})
    return httpx2.Response(503, headers={"content-type": "application/json"}, content=body)


@asynccontextmanager
async def http(url: str, headers: Mapping[str, str], *, most: int, timeout: float) -> AsyncGenerator[Any]:
    """The streams of a server at a URL. No settings of the environment are used, no redirect leaves its origin."""
    inner = httpx2.AsyncHTTPTransport(trust_env=False, limits=httpx2.Limits(max_connections=32))
    client = httpx2.AsyncClient(
        headers=dict(headers), transport=BoundedTransport(inner, most), trust_env=False,
        timeout=httpx2.Timeout(10.0, read=timeout),
    )  # fmt: skip
    async with client, streamable_http_client(url, http_client=client, max_sse_event_size=most) as streams:
        yield streams
