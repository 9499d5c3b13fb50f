"""What a new cluster needs before it is ours: a role, a database, and pgvector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import asyncpg

from events.errors import StoreUnavailable

ADMIN: Final = "postgres"
USER: Final = "thespis"
"""The role and the database we use. Not a superuser, as with a Postgres somebody else runs."""

ERASING: Final = (
    "ALTER SYSTEM ON PARAMETER wal_recycle",
    "EXECUTE ON FUNCTION pg_catalog.pg_switch_wal()",
    "EXECUTE ON FUNCTION pg_catalog.pg_reload_conf()",
)
"""What it takes to remove the write-ahead log of rows that were erased."""

_BROKEN = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


async def settle(address: Callable[[str, str], str], password: str) -> None:
    """See that our role can use our database; make both the first time, or when that was cut short.

    `address(role, database)` is a DSN, password included. Raises StoreUnavailable.
    """
    try:
        await (await _connect(address(USER, USER))).close()
        return
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError):
        pass
    except _BROKEN as error:
        raise StoreUnavailable(f"Postgres runs but does not let us in: {error}") from error
    try:
        await _furnish(address, password)
    except asyncpg.InvalidPasswordError as error:
        raise StoreUnavailable(
            "the passwords in secrets.json are not those of the cluster beside it",
            hint="restore that file, or move the data directory away to begin anew",
        ) from error
    except _BROKEN as error:
        raise StoreUnavailable(f"Postgres runs but cannot be set up: {error}") from error


async def _furnish(address: Callable[[str, str], str], password: str) -> None:
    admin = await _connect(address(ADMIN, ADMIN))
    try:
        literal = await admin.fetchval("SELECT quote_literal($1)", password)
        verb = "ALTER" if await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", USER) else "CREATE"
        await admin.execute(f"{verb} ROLE {USER} LOGIN CREATEDB PASSWORD {literal}")
        await admin.execute(f"GRANT pg_monitor, pg_checkpoint, pg_signal_backend TO {USER}")
        template = await _connect(address(ADMIN, "template1"))
        try:  # only a superuser may add it; every database made from here on has it
            await template.execute("CREATE EXTENSION IF NOT EXISTS vector")
            for right in ERASING:
                await template.execute(f"GRANT {right} TO {USER}")
        finally:
            await template.close()
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", USER):
            await admin.execute(f"CREATE DATABASE {USER} OWNER {USER}")
    finally:
        await admin.close()


async def _connect(dsn: str) -> Any:
    driver: Any = asyncpg  # which has no types
    return await driver.connect(dsn, timeout=20)
