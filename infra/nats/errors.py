"""Errors as replies on the bus, and back again: the receiver raises the class that was raised far away.

The headers are those of the NATS service API (ADR-32), the body is a problem object with the stable code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from events import errors
from events.errors import ThespisError

ERROR: Final = "Nats-Service-Error"
ERROR_CODE: Final = "Nats-Service-Error-Code"

STATUS: Final[Mapping[type[ThespisError], int]] = {
    errors.TooLarge: 413,
    errors.Invalid: 400,
    errors.NotFound: 404,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.Conflict: 409,
    errors.Refused: 422,
    errors.Busy: 429,
    errors.DeadlineExceeded: 504,
    errors.Unavailable: 503,
    errors.Parked: 423,
}


class Problem(msgspec.Struct, omit_defaults=True):
    """An error as JSON."""

    code: str
    status: int
    detail: str
    hint: str = ""
    retry_after: float | None = None
    reason_code: str = ""


def _all(root: type[ThespisError]) -> Iterator[type[ThespisError]]:
    yield root
    for child in root.__subclasses__():
        yield from _all(child)


_BY_CODE = {each.code: each for each in _all(ThespisError) if each.__module__ == errors.__name__}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Problem).decode


def status_for(error: ThespisError) -> int:
    """The HTTP-like status of an error."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def encode(error: ThespisError) -> tuple[bytes, dict[str, str]]:
    """Body and headers of an error reply."""
    status = status_for(error)
    reason = error.reason_code if isinstance(error, errors.Refused) else ""
    body = _encode(Problem(error.code, status, error.message, error.hint, error.retry_after, reason))
    return body, {ERROR: error.code, ERROR_CODE: str(status)}


def decode(headers: Mapping[str, str], body: bytes) -> ThespisError | None:
    """The error a reply carries, or None."""
    code = headers.get(ERROR)
    if code is None:
        return None
    try:
        problem = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = Problem(code, 0, body.decode(errors="replace") or code)
    kind = _BY_CODE.get(problem.code, ThespisError)
    if kind is errors.Refused:
        return errors.Refused(problem.detail, code=problem.reason_code or "refused")
    return kind(problem.detail, hint=problem.hint, retry_after=problem.retry_after)
