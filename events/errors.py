"""The error tree. Every error has a stable code, says who is at fault and whether the same call may be tried again.

ThespisError
├── Invalid            the caller sent something wrong; the same call will fail again
│   ├── InvalidName        an address, tenant, type or id that does not fit the grammar
│   ├── InvalidData        a body that does not fit its schema, is not JSON, or is nested too deeply
│   ├── UnknownType        no actor kind, message, event, effect or projection of that name
│   ├── TooLarge           a body, batch or decision above its limit
│   ├── InvalidSetting     a variable of the environment or an option that is missing, or means nothing
│   └── BadDefinition      user code or a plugin that contradicts itself
├── NotFound           the thing named does not exist
├── Unauthenticated    no valid token
├── Forbidden          the token does not allow this
├── Conflict           what is asked contradicts what is recorded
│   ├── KeyReused          an idempotency key again, with another body
│   └── KeyExpired         an idempotency key older than the inbox remembers
├── Refused            the actor decided no; recorded, and repeated to every repetition
├── Unavailable        nobody is at fault; try again after `retry_after` seconds
│   ├── Busy               a bounded queue is full
│   ├── NotOwned           this host does not own the actor's partition (any more)
│   ├── Unserved           no host here has the actor's kind, or one of its event versions
│   ├── DeadlineExceeded   no answer in time; the message may still be handled
│   ├── OutcomeUnknown     the connection broke during a commit; repeat with the same key to learn the outcome
│   ├── StoreUnavailable   Postgres does not answer, is read-only or its disk is full
│   └── BusUnavailable     NATS does not answer
├── Parked             the actor is parked and waits for a person
└── Corrupt            the log contradicts itself; nothing is served from it until a person has looked
"""

from __future__ import annotations


class ThespisError(Exception):
    """Something went wrong."""

    code = "error"
    hint = ""
    retry_after: float | None = None
    """Seconds after which the same call may be tried again, or None when that would not help."""

    def __init__(self, message: str = "", *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        if hint:
            self.hint = hint
        if retry_after is not None:
            self.retry_after = retry_after

    @property
    def message(self) -> str:
        """What is wrong and where, in one line."""
        return str(self.args[0])


class Invalid(ThespisError):
    """The request is not valid."""

    code = "invalid"


class InvalidName(Invalid):
    """A name does not fit the grammar."""

    code = "invalid-name"


class InvalidData(Invalid):
    """The data does not fit its schema."""

    code = "invalid-data"


class UnknownType(Invalid):
    """No such kind or type is registered."""

    code = "unknown-type"


class TooLarge(Invalid):
    """The request is larger than its limit."""

    code = "too-large"


class InvalidSetting(Invalid):
    """A setting is missing, or means nothing."""

    code = "invalid-setting"


class BadDefinition(Invalid):
    """A definition contradicts itself."""

    code = "bad-definition"


class NotFound(ThespisError):
    """There is no such thing."""

    code = "not-found"


class Unauthenticated(ThespisError):
    """A valid token is required."""

    code = "unauthenticated"


class Forbidden(ThespisError):
    """The token does not allow this."""

    code = "forbidden"


class Conflict(ThespisError):
    """The request contradicts what is recorded."""

    code = "conflict"


class KeyReused(Conflict):
    """This idempotency key was used before with another body."""

    code = "key-reused"


class KeyExpired(Conflict):
    """This idempotency key is older than the inbox remembers."""

    code = "key-expired"


class Refused(ThespisError):
    """The actor refused the message.

    Raised by `decide`: `raise Refused("insufficient funds", code="insufficient")`.
    """

    code = "refused"

    def __init__(self, reason: str = "", *, code: str = "refused") -> None:
        super().__init__(reason)
        self.reason_code = code


class Unavailable(ThespisError):
    """Not available now; try again."""

    code = "unavailable"
    retry_after = 1.0


class Busy(Unavailable):
    """Too many messages are waiting."""

    code = "busy"


class NotOwned(Unavailable):
    """The actor is not owned by this host."""

    code = "not-owned"
    retry_after = 0.2


class Unserved(Unavailable):
    """No host serves this actor."""

    code = "unserved"
    retry_after = 5.0


class DeadlineExceeded(Unavailable):
    """No answer before the deadline; the message may still be handled."""

    code = "deadline-exceeded"


class OutcomeUnknown(Unavailable):
    """The outcome of the commit is not known; repeat with the same key to learn it."""

    code = "outcome-unknown"


class StoreUnavailable(Unavailable):
    """The event store is not available."""

    code = "store-unavailable"


class BusUnavailable(Unavailable):
    """The bus is not available."""

    code = "bus-unavailable"


class Parked(ThespisError):
    """The actor is parked."""

    code = "parked"


class Corrupt(ThespisError):
    """The log contradicts itself."""

    code = "corrupt"
