"""What the driver says, in the words of the error tree. No message ever contains a password."""

from __future__ import annotations

from typing import Final

import asyncpg

from events.errors import Corrupt, InvalidData, InvalidSetting, OutcomeUnknown, StoreUnavailable, ThespisError

FAILURES: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    UnicodeEncodeError,
    OSError,
    TimeoutError,
)
"""Everything the driver raises. Catch these, raise `translated(…)`."""


def is_broken(error: BaseException) -> bool:
    """Whether the connection is gone or hangs, so that the outcome of what was under way is not known."""
    if isinstance(error, asyncpg.PostgresError):
        severity = getattr(error, "severity_en", None)
        return isinstance(error, asyncpg.PostgresConnectionError) or severity in ("FATAL", "PANIC")
    return not isinstance(error, ValueError)  # the driver's own refusals of an argument are ValueErrors


def translated(error: BaseException, place: str) -> ThespisError:
    """The error of ours for one of the driver's. `place` says which server and database, without a password."""
    match error:
        case ThespisError():
            return error
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return _unavailable(f"Postgres refuses the user or password: {place}", "check DATABASE_URL", 30.0)
        case asyncpg.InvalidCatalogNameError():
            return _unavailable(f"the database does not exist: {place}", "create it, or check DATABASE_URL", 30.0)
        case asyncpg.DiskFullError():
            return _unavailable(f"the disk of Postgres is full: {place}", "make room on it", 10.0)
        case asyncpg.ReadOnlySQLTransactionError():
            return _unavailable(f"Postgres is read-only: {place}", "connect to the primary", 10.0)
        case asyncpg.InsufficientPrivilegeError():
            return _unavailable(f"the database user lacks a privilege: {error} ({place})", "grant it", 30.0)
        case asyncpg.TooManyConnectionsError():
            return _unavailable(f"Postgres has no connection to spare: {place}", "raise its max_connections", 5.0)
        case asyncpg.UndefinedTableError() | asyncpg.InvalidSchemaNameError() | asyncpg.UndefinedFunctionError():
            return _unavailable(f"the database is not migrated: {error} ({place})", "start thespis on it once", 30.0)
        case asyncpg.DataCorruptedError() | asyncpg.IndexCorruptedError():
            return Corrupt(f"Postgres reports damage: {error} ({place})", hint="restore from a backup")
        case asyncpg.ClientConfigurationError():
            return InvalidSetting(
                f"DATABASE_URL is not valid: {error}", hint="e.g. postgresql://user:password@127.0.0.1:5432/thespis"
            )
        case asyncpg.DataError() | ValueError():
            return InvalidData(f"Postgres cannot store this: {error}")
        case asyncpg.PostgresError() if not is_broken(error):
            return _unavailable(f"Postgres refuses: {error} ({place})", "", 5.0)
        case _:
            return _unavailable(f"Postgres does not answer: {_reason(error)} ({place})", "is it running?", 1.0)


def unknown(error: BaseException, place: str) -> OutcomeUnknown:
    """The connection broke while a commit was under way."""
    return OutcomeUnknown(f"the connection to Postgres broke during a commit: {_reason(error)} ({place})")


def _unavailable(message: str, hint: str, retry_after: float) -> StoreUnavailable:
    return StoreUnavailable(message, hint=hint, retry_after=retry_after)


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
