"""Our errors in the library's words: who catches its exceptions catches ours."""

from __future__ import annotations

from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    PersistenceError,
    ProgrammingError,
)

from events.errors import Conflict, Corrupt, Invalid, InvalidData, OutcomeUnknown, ThespisError, Unavailable


class UnknownOutcomeError(OperationalError):
    """The connection broke during a commit: nobody knows yet whether it was written."""


def translated(error: ThespisError) -> PersistenceError:
    """The library's exception for one of our errors, with the hint in its text."""
    text = f"{error.message}; {error.hint}" if error.hint else error.message
    match error:
        case OutcomeUnknown():
            return UnknownOutcomeError(text)
        case Unavailable():
            return OperationalError(text)
        case InvalidData():
            return DataError(text)
        case Invalid():
            return ProgrammingError(text)
        case Conflict():
            return IntegrityError(text)
        case Corrupt():
            return InternalError(text)
        case _:
            return InterfaceError(text)
