"""One table: every error of the tree with its HTTP status, the exit code of the command line, and what to do next.

A problem document (RFC 9457) is made from an error and nothing else, so no internal text leaves the process: errors
that are not ours become `internal`, with an id that the log of this process explains.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from events import errors as e
from gateway.ways import over_http

TYPE_BASE: Final = "https://thespis.dev/problems/"
"""Prefix of the `type` of a problem document; the rest is the error's code. An identifier, not a page to fetch."""

MEDIA_TYPE: Final = "application/problem+json"


class UnknownParameter(e.Invalid):
    """The request has a parameter that does not exist here."""

    code = "unknown-parameter"


class MethodNotAllowed(e.Invalid):
    """This method is not allowed here."""

    code = "method-not-allowed"


class NotAcceptable(e.Invalid):
    """Nothing the client accepts can be produced here."""

    code = "not-acceptable"


class UnsupportedMediaType(e.Invalid):
    """The body has a content type or an encoding that is not read here."""

    code = "unsupported-media-type"


class BodyTimeout(e.Invalid):
    """The body did not arrive in time."""

    code = "body-timeout"
    retry_after = 1.0


class RateLimited(e.Unavailable):
    """Too many requests from this client."""

    code = "rate-limited"


class Partial(e.Unavailable):
    """Some events of the batch were not recorded; send the same batch again."""

    code = "partial"

    def __init__(self, message: str, extra: dict[str, Any]) -> None:
        super().__init__(message)
        self.extra = extra


class Declined(e.Refused):
    """The actor refused the message."""

    def __init__(self, reason: str, *, code: str, extra: dict[str, Any]) -> None:
        super().__init__(reason, code=code)
        self.extra = extra


class Overloaded(e.Unavailable):
    """As many runs as may are under way, and as many as may wait."""

    code = "overloaded"
    retry_after = 5.0


class Full(e.Unavailable):
    """The conversation takes no message now: a turn is under way, or too many messages wait."""

    code = "full"
    retry_after = 2.0


class TurnFailed(e.ThespisError):
    """The agent's turn ended without an answer."""

    code = "turn-failed"


class NotValid(e.Invalid):
    """A definition is not valid. `extra` has all its problems."""

    code = "definition"

    def __init__(self, message: str, extra: dict[str, Any]) -> None:
        super().__init__(message)
        self.extra = extra


class Row(msgspec.Struct, frozen=True):
    """What an error means to those outside: a short title, an HTTP status, an exit code, and the advice given
    when the error brings no hint of its own."""

    title: str
    status: int
    exit: int
    advice: str = ""


OK, FAILED, USAGE, NOT_FOUND, INVALID, CONFLICT, TRY_AGAIN, DENIED, UNKNOWN_OUTCOME, CORRUPT, BUG = (*range(10), 70)
"""Exit codes of the command line, stable. 1: it ran, and what it looked at is not well; 2: wrong usage, or a file
that is not there; 4: bad input; 5: contradicts what is recorded, or the actor refused; 6: no server, or not now: the
same call may be tried again; 7: no token, or not allowed; 8: repeat with the same idempotency key to learn the outcome;
70: a bug."""

PROBLEMS: Final[dict[type[e.ThespisError], Row]] = {
    e.ThespisError: Row("Something went wrong", 500, BUG, "the server's log says more, under this request's id"),
    e.Invalid: Row("Invalid request", 400, INVALID, "correct the request; the same call will fail again"),
    e.InvalidName: Row("Invalid name", 400, INVALID, "correct the name"),
    e.InvalidData: Row("Invalid data", 400, INVALID, "correct the body; nothing of it was recorded"),
    e.UnknownType: Row("Unknown type", 400, INVALID, "check the spelling, and that the workspace declares the type"),
    e.TooLarge: Row("Too large", 413, INVALID, "send less at a time"),
    e.InvalidSetting: Row("Invalid setting", 500, INVALID, "correct the setting, and start it again"),
    e.BadDefinition: Row("Bad definition", 500, INVALID, "correct the workspace"),
    UnknownParameter: Row("Unknown parameter", 400, INVALID, "/openapi.json lists the parameters"),
    MethodNotAllowed: Row("Method not allowed", 405, INVALID, "the Allow header lists the methods"),
    NotAcceptable: Row("Not acceptable", 406, INVALID, "ask for application/json, or send no Accept header"),
    UnsupportedMediaType: Row("Unsupported media type", 415, INVALID, "/openapi.json lists the content types"),
    BodyTimeout: Row("Request timeout", 408, TRY_AGAIN, "send the body faster"),
    e.NotFound: Row("Not found", 404, NOT_FOUND, "check the name"),
    e.Unauthenticated: Row(
        "Token required", 401, DENIED, "give `Authorization: Bearer TOKEN`; `thespis tokens create` makes one"
    ),
    e.Forbidden: Row("Not allowed", 403, DENIED, "use a token that has the scope"),
    e.Conflict: Row("Conflict", 409, CONFLICT, "look at what is recorded first"),
    e.KeyReused: Row("Idempotency key reused", 409, CONFLICT, "another body needs another key"),
    e.KeyExpired: Row("Idempotency key expired", 409, CONFLICT, "look at the actor, then send with a new key"),
    Declined: Row("Refused by the actor", 422, CONFLICT, "the refusal is recorded; another request needs another key"),
    e.Refused: Row("Refused by the actor", 422, CONFLICT, "the refusal is recorded; another request needs another key"),
    e.Unavailable: Row("Not available now", 503, TRY_AGAIN, "try again"),
    e.Busy: Row("Busy", 503, TRY_AGAIN, "try again after a moment"),
    e.NotOwned: Row("Moving to another host", 503, TRY_AGAIN, "try again after a moment"),
    e.Unserved: Row("No host serves this kind", 503, TRY_AGAIN, "start a host whose workspace has this kind"),
    e.DeadlineExceeded: Row(
        "No answer in time", 504, UNKNOWN_OUTCOME, "the message may still be handled: repeat with the same key"
    ),
    e.OutcomeUnknown: Row("Outcome unknown", 503, UNKNOWN_OUTCOME, "repeat with the same key to learn the outcome"),
    e.StoreUnavailable: Row(
        "Event store not available", 503, TRY_AGAIN, "check Postgres and its disk: `thespis doctor`"
    ),
    e.BusUnavailable: Row("Bus not available", 503, TRY_AGAIN, "check NATS: `thespis doctor`"),
    RateLimited: Row("Too many requests", 429, TRY_AGAIN, "slow down"),
    Overloaded: Row("Too many runs", 429, TRY_AGAIN, "try again when some of them have ended"),
    Full: Row("Conversation is full", 429, TRY_AGAIN, "try again when a turn has ended"),
    TurnFailed: Row("The turn failed", 502, FAILED, "look at the conversation; the same key gets the same answer"),
    NotValid: Row("Definition not valid", 422, INVALID, "correct the definition; all that is wrong is listed"),
    Partial: Row(
        "Recorded in part", 503, TRY_AGAIN, "send the same batch again: what was recorded stays recorded once"
    ),
    e.Parked: Row("Actor parked", 409, CONFLICT, "look at the reason, then `thespis actors resume ADDRESS`"),
    e.Corrupt: Row("The log contradicts itself", 500, CORRUPT, "stop writing and look: `thespis replay --verify`"),
}

INTERNAL: Final = "internal"
"""The code of what is nobody's declared error: a bug."""

_by_code: Final = {error.code: found for error, found in PROBLEMS.items()}


def row(error: type[BaseException]) -> Row:
    """The row of an error class, or of its nearest ancestor in the table."""
    for base in error.__mro__:
        if base in PROBLEMS:
            return PROBLEMS[base]
    return PROBLEMS[e.ThespisError]


def exit_code(code: str) -> int:
    """The exit code for the `code` of a problem document that came over the wire; 70 for an unknown one."""
    found = _by_code.get(code)
    return found.exit if found else BUG


def problem(error: BaseException, *, incident: str = "") -> dict[str, Any]:
    """The problem document of an error, as JSON-ready values.

    `incident` names the log line of an unexpected error. Extension members: `code`, `hint`, `retry_after` (seconds),
    for a refusal `reason_code`, and the `extra` of those errors that have one.
    """
    if not isinstance(error, e.ThespisError):
        detail = f"an unexpected error; the server's log has it as {incident}" if incident else "an unexpected error"
        row_ = PROBLEMS[e.ThespisError]
        return _document(INTERNAL, row_, detail, row_.advice if incident else "")
    found = row(type(error))
    document = _document(error.code, found, error.message, over_http(error.hint or found.advice))
    if error.retry_after is not None:
        document["retry_after"] = error.retry_after
    if isinstance(error, e.Refused):
        document["reason_code"] = error.reason_code
    if isinstance(error, Declined | Partial | NotValid):
        return {**error.extra, **document}
    return document


def _document(code: str, found: Row, detail: str, hint: str) -> dict[str, Any]:
    document: dict[str, Any] = {"type": TYPE_BASE + code, "title": found.title, "status": found.status}
    document |= {"detail": detail, "code": code}
    if hint:
        document["hint"] = hint
    return document
