"""A small client of the HTTP interface: JSON in and out, problems as the errors they came from, server-sent events."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from events import errors
from events.errors import ThespisError
from gateway.cli.find import START, Place, instance
from gateway.problems import PROBLEMS, NotValid
from gateway.ways import in_terminal

T = TypeVar("T")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_ERRORS = {error.code: error for error in PROBLEMS}

_BY_STATUS: dict[int, type[ThespisError]] = {
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.TooLarge,
    422: errors.Refused,
    429: errors.Unavailable,
    500: ThespisError,
    504: errors.DeadlineExceeded,
}


class NoServer(errors.Unavailable):
    """Nobody answers at the instance's address: nothing was sent."""

    code = "no-server"


class Broken(errors.OutcomeUnknown):
    """The connection broke before the answer came: it is not known whether the request was handled."""


def problem_error(status: int, body: bytes, retry_after: str | None = None) -> ThespisError:
    """The error a response stands for, with its code, message, hint and retry advice."""
    try:
        document = _decode(body)
    except msgspec.DecodeError:
        document = None
    found = cast(dict[str, Any], document) if isinstance(document, dict) else {}
    code = str(found.get("code", ""))
    kind = _ERRORS.get(code) or _BY_STATUS.get(status) or (errors.Invalid if status < 500 else errors.Unavailable)
    message = str(found.get("detail") or found.get("title") or f"the server answered with status {status}")
    error = kind.__new__(kind)
    ThespisError.__init__(error, message, hint=in_terminal(str(found.get("hint", ""))))
    if isinstance(error, errors.Refused):
        error.reason_code = str(found.get("reason_code", "refused"))
    if isinstance(error, NotValid):
        error.extra = {"problems": found.get("problems") or []}
    if code:
        error.code = code
    wait = found.get("retry_after", retry_after)
    try:
        error.retry_after = float(wait) if wait is not None else None
    except (TypeError, ValueError):
        error.retry_after = None
    return error


class Api:
    """One instance. Use as an async context manager.

    Every method raises the error of the problem the server reports, NoServer when nobody listens, and Broken when
    the connection was lost before the answer.
    """

    def __init__(self, place: Place, *, timeout: float = 60.0) -> None:
        self._place = place
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=5.0)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Api:
        headers = {"Accept": "application/json, */*;q=0.1", "User-Agent": "thespis-cli"}
        if self._place.token:
            headers["Authorization"] = f"Bearer {self._place.token}"
        self._session = aiohttp.ClientSession(
            headers=headers, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Read a JSON document. Parameters that are None are left out."""
        return await self._call("GET", path, params=params)

    async def post(
        self,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        content_type: str = "application/json",
        key: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Send a JSON document (or `raw` bytes of `content_type`) under an idempotency key; returns the answer.

        With `timeout` (seconds) the server is told how long somebody waits.
        """
        headers = {"Content-Type": content_type}
        if timeout is not None:
            headers["Prefer"] = f"wait={max(1, min(60, round(timeout)))}"
            timeout += 2.0
        if key is not None:
            headers["Idempotency-Key"] = key
        data = raw if raw is not None else _encode({} if body is None else body)
        return await self._call("POST", path, data=data, headers=headers, timeout=timeout)

    async def text(self, path: str) -> str:
        """Read a text."""
        return (await self._send("GET", path)).decode("utf-8", "replace")

    async def _call(self, method: str, path: str, **request: Any) -> Any:
        body = await self._send(method, path, **request)
        try:
            return _decode(body)
        except msgspec.DecodeError:
            raise errors.Invalid(
                f"{self._place.url}{path} did not answer with JSON", hint="is this a Thespis instance?"
            ) from None

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> bytes:
        assert self._session is not None, "use it as a context manager"
        limit = aiohttp.ClientTimeout(total=timeout, connect=5.0) if timeout is not None else self._timeout
        try:
            async with self._session.request(
                method,
                self._place.url + path,
                params=_query(params),
                data=data,
                headers=headers,
                timeout=limit,
                allow_redirects=False,
            ) as response:
                body = await response.read()
                if response.status >= 300:
                    raise problem_error(response.status, body, response.headers.get("Retry-After"))
        except (aiohttp.ClientError, TimeoutError, ssl.SSLError) as error:
            raise self._unreachable(error, wrote=method != "GET") from error
        return body

    async def stream(
        self, path: str, params: Mapping[str, Any] | None, last: str
    ) -> AsyncIterator[tuple[str, str, str]]:
        """Server-sent events as (id, event, data), after the id `last` if given, until the server ends the stream."""
        assert self._session is not None, "use it as a context manager"
        headers = {"Accept": "text/event-stream"}
        if last:
            headers["Last-Event-ID"] = last
        limit = aiohttp.ClientTimeout(total=None, connect=5.0, sock_read=60.0)
        try:
            async with self._session.get(
                self._place.url + path, params=_query(params), headers=headers, timeout=limit, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise problem_error(response.status, await response.read(), response.headers.get("Retry-After"))
                id, event, data = "", "message", list[str]()
                async for chunk in _lines(response.content):
                    if not chunk:
                        if data:
                            yield id, event, "\n".join(data)
                        event, data = "message", []
                        continue
                    name, _, value = chunk.partition(":")
                    value = value.removeprefix(" ")
                    match name:
                        case "data":
                            data.append(value)
                        case "id":
                            id = value
                        case "event":
                            event = value
                        case _:
                            pass
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error, wrote=False) from error

    def _unreachable(self, error: Exception, *, wrote: bool) -> ThespisError:
        url = self._place.url
        if isinstance(error, aiohttp.InvalidURL):
            return errors.Invalid(f"{url!r} is not the URL of an instance", hint="it looks like http://127.0.0.1:8321")
        if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
            return NoServer(f"nobody answers at {url}", hint=START)
        late = isinstance(error, TimeoutError)
        what = f"{url} did not answer in time" if late else f"the connection to {url} broke ({type(error).__name__})"
        if wrote:
            return Broken(what, hint="repeat with the same key to learn the outcome")
        return errors.Unavailable(what)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[str]:
    """Lines of a stream whose lines may be longer than the reader's limit."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")


def _query(params: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Parameters as pairs; those that are None are left out, a list is the parameter repeated."""
    pairs: list[tuple[str, str]] = []
    for name, value in (params or {}).items():
        many = cast(Sequence[Any], value) if isinstance(value, list | tuple) else [value]
        pairs += [(name, str(one)) for one in many if one is not None]
    return pairs


def path(*parts: str) -> str:
    """A path of the interface, each part escaped."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def with_query(where: str, params: Mapping[str, Any]) -> str:
    """A path with parameters, for a request that also has a body."""
    return f"{where}?{urlencode(_query(params))}"


def call(url: str | None, data: str | None, work: Callable[[Api], Awaitable[T]], *, timeout: float = 60.0) -> T:
    """Do `work` with the instance that --url and --data name: what a command calls, once."""

    async def connected() -> T:
        async with Api(instance(url, data), timeout=timeout) as api:
            return await work(api)

    return asyncio.run(connected())
