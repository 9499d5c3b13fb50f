"""What went wrong, as one of the kinds of `actors.models.port`: from HTTP statuses, bodies and exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

import msgspec

from actors.models.port import ModelError

LONGEST: Final = 500
"""Characters of a provider's message that are kept."""

_BY_STATUS: Final = {
    401: "auth", 402: "auth", 403: "auth", 404: "unavailable", 408: "timeout", 413: "context-length",
    425: "server", 429: "rate-limit", 498: "auth", 504: "timeout",
}  # fmt: skip
_TOO_LONG: Final = (
    "context_length", "context length", "context size", "context window", "maximum context", "too many tokens",
    "prompt is too long", "exceeds the available context", "too large for model",
)  # fmt: skip
_FILTERED: Final = (
    "content_filter",
    "content filter",
    "content management policy",
    "content_policy",
    "moderation_blocked",
)
_NO_CREDIT: Final = ("insufficient_quota", "billing_hard_limit", "exceeded your current quota", "insufficient balance")


class Secret:
    """A key that nothing prints. `str` and `repr` of it are harmless; `reveal` is for the request alone."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(…)" if self._value else "Secret()"

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def hidden(self, text: str) -> str:
        """The text without the key, wherever it stands."""
        return text.replace(self._value, "…") if self._value else text


def of_status(status: int, body: str, headers: Mapping[str, str], key: Secret) -> ModelError:
    """The error of an HTTP answer that is no success."""
    message = said(body)
    kind = _kind(status, body.lower())
    text = key.hidden(message)[:LONGEST] or "no reason was given"
    return ModelError(kind, f"status {status}: {text}", retry_after=retry_after(headers))


def of_wire(error: BaseException, key: Secret) -> ModelError:
    """The error of a connection that did not come about, took too long, or broke."""
    names = {base.__name__ for base in type(error).__mro__}
    kind = "network"
    if isinstance(error, TimeoutError) or "TimeoutException" in names:
        kind = "timeout"
    elif isinstance(error, UnicodeError) or "ResponseValidationError" in names:
        kind = "server"
    return ModelError(kind, key.hidden(f"{type(error).__name__}: {error}".rstrip(": "))[:LONGEST])


def nonsense(what: str) -> ModelError:
    """An answer that is not what was agreed upon: as bad as none."""
    return ModelError("server", what[:LONGEST])


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds of `Retry-After` (a number or a date) or `retry-after-ms`; None when it says nothing usable."""
    names = {name.lower(): value for name, value in headers.items()}
    try:
        if "retry-after-ms" in names:
            return _sane(float(names["retry-after-ms"]) / 1000)
        text = names.get("retry-after", "").strip()
        if not text:
            return None
        if text.replace(".", "", 1).isdigit():
            return _sane(float(text))
        at = parsedate_to_datetime(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return _sane(max(0.0, (at - (now or datetime.now(UTC))).total_seconds()))
    except (ValueError, TypeError, OverflowError):
        return None


def said(body: str) -> str:
    """The message in an error's body, whichever of the usual shapes it has."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return " ".join(body.split())
    for name in ("error", "detail", "message"):
        inner = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
        if isinstance(inner, dict):
            return str(cast("dict[str, Any]", inner).get("message") or cast(Any, inner))
        if inner:
            return inner if isinstance(inner, str) else msgspec.json.encode(inner).decode()
    return " ".join(body.split())


def _kind(status: int, body: str) -> str:
    if status == 429 and any(mark in body for mark in _NO_CREDIT):
        return "auth"
    if status in (400, 413, 422) and any(mark in body for mark in _FILTERED):
        return "content-filter"
    if status in (400, 413, 422, 500) and any(mark in body for mark in _TOO_LONG):
        return "context-length"
    return _BY_STATUS.get(status) or ("server" if status >= 500 else "invalid")


def _sane(seconds: float) -> float | None:
    return seconds if 0 <= seconds < float("inf") else None
