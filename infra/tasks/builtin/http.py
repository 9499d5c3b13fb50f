"""`http.call`: one HTTP request."""

from __future__ import annotations

from typing import Any, Final, Literal

import aiohttp
import msgspec

from actors.workflows.tasks import Task, TaskError
from infra.tasks.context import Context

KEY: Final = "Idempotency-Key"
_PIECE: Final = 64 * 1024


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """What to send. A `body` that is no text is sent as JSON. Times in seconds, sizes in bytes.

    `expect` are the statuses that count as success; empty: 200 to 299. `idempotency_key` false leaves the header
    `Idempotency-Key` out, otherwise sent with every method but GET and HEAD, the same for every attempt.
    """

    url: str
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    body: Any = None
    timeout: float = 30.0
    connect_timeout: float = 10.0
    max_size: int = 8 * 1024 * 1024
    redirects: int = 5
    expect: list[int] = []
    idempotency_key: bool = True


class Response(msgspec.Struct):
    """What came back: `body` decoded when it is JSON, else as text. Header names in lower case."""

    status: int
    headers: dict[str, str]
    body: Any
    url: str


async def call(request: Request, context: Context) -> Response:
    """One HTTP request: `url`, `method`, `headers`, `query`, `body`, `timeout`; returns `status`, `headers`, `body`.

    Kinds of errors: `invalid` (no such URL), `connection`, `timeout`, `too-large`; by status `unauthorized` (401, 403),
    `not-found` (404, 410), `conflict` (409, 412), `busy` (429), `client` (other 4xx), `server` (5xx), `redirect` (3xx);
    `data` then holds status, headers and the beginning of the body.
    """
    headers = dict(request.headers)
    names = {name.lower() for name in headers}
    body: bytes | None = None
    if request.body is not None:
        body = request.body.encode() if isinstance(request.body, str) else msgspec.json.encode(request.body)
        if "content-type" not in names:
            headers["Content-Type"] = (
                "text/plain; charset=utf-8" if isinstance(request.body, str) else "application/json"
            )
    if request.idempotency_key and request.method not in ("GET", "HEAD") and KEY.lower() not in names:
        headers[KEY] = context.key
    timeout = aiohttp.ClientTimeout(total=request.timeout, sock_connect=request.connect_timeout)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=True) as session,
            session.request(
                request.method, request.url, headers=headers, params=request.query or None, data=body,
                allow_redirects=request.redirects > 0, max_redirects=max(1, request.redirects),
            ) as response,
        ):  # fmt: skip
            content = await _read(response, request.max_size)
            answer = _answer(response, content)
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise TaskError(f"{request.url!r} cannot be called: {error}", kind="invalid") from None
    except TimeoutError:
        raise TaskError(f"{request.url}: no answer within {request.timeout:g} s", kind="timeout") from None
    except (aiohttp.ClientError, OSError) as error:
        raise TaskError(f"{request.url}: {error or type(error).__name__}", kind="connection") from None
    except ValueError as error:
        raise TaskError(f"{request.method} {request.url}: {error}", kind="invalid") from None
    if answer.status in request.expect or (not request.expect and 200 <= answer.status < 300):
        return answer
    shown = {"status": answer.status, "headers": answer.headers, "body": content[:2000].decode(errors="replace")}
    raise TaskError(f"{request.method} {request.url}: status {answer.status}", kind=_kind(answer.status), data=shown)


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_chunked(_PIECE):
        size += len(piece)
        if size > most:
            raise TaskError(f"{response.url}: the answer is larger than {most} bytes", kind="too-large")
        pieces.append(piece)
    return b"".join(pieces)


def _answer(response: aiohttp.ClientResponse, content: bytes) -> Response:
    body: Any = None
    if content:
        try:
            text = content.decode(response.charset or "utf-8", errors="replace")
        except LookupError:
            text = content.decode(errors="replace")
        body = text
        if response.content_type == "application/json" or response.content_type.endswith("+json"):
            try:
                body = msgspec.json.decode(content)
            except (msgspec.DecodeError, UnicodeDecodeError):
                body = text
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Response(response.status, headers, body, str(response.url))


def _kind(status: int) -> str:
    exact = {401: "unauthorized", 403: "unauthorized", 404: "not-found", 410: "not-found", 408: "timeout",
             409: "conflict", 412: "conflict", 429: "busy"}  # fmt: skip
    if status in exact:
        return exact[status]
    return {2: "unexpected", 3: "redirect", 4: "client", 5: "server"}.get(status // 100, "error")


http_call: Final = Task(
    "http.call", call, input=Request, output=Response, effect_class="keyed", timeout=120.0, provides=("http",)
)
