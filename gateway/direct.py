"""Commands that need no host: the log and the tokens of a database, opened for as long as a command runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from events.errors import Conflict, Unavailable
from events.store import EventStore
from events.tokens import TokenStore
from infra.postgres import open_store
from infra.postgres.audit import Audit
from infra.postgres.audit import open_audit as open_snapshot
from infra.postgres.connection import Connection, Links
from infra.postgres.migrate import migrations
from infra.postgres.tokens import PostgresTokens


@asynccontextmanager
async def open_log(database_url: str, *, migrate: bool = False) -> AsyncGenerator[EventStore]:
    """The log of a database; with `migrate` brought up to this code first. Raises StoreUnavailable, Conflict."""
    async with open_store(database_url, readers=8, migrated=not migrate) as store:
        yield store


@asynccontextmanager
async def open_audit(database_url: str) -> AsyncGenerator[Audit]:
    """One snapshot of a database at the migrations of this code, to verify. Raises StoreUnavailable, Conflict."""
    known, applied, _ = await migrations_of(database_url)
    if not applied:
        raise Unavailable("there is no log in this database yet", hint="start thespis on it once")
    if known != applied:
        raise Conflict(
            f"the database is at migration {max(applied):04}, this code at {max(known):04}",
            hint="upgrade thespis" if applied - known else "start thespis on it once: it applies them",
        )
    async with open_snapshot(database_url) as audit:
        yield audit


@asynccontextmanager
async def open_tokens(database_url: str) -> AsyncGenerator[TokenStore]:
    """The tokens of a database. Every call raises StoreUnavailable when it does not answer."""
    links = Links(database_url, "tokens", 1, 30.0)
    try:
        yield PostgresTokens(links)
    finally:
        await links.close()


async def migrations_of(database_url: str) -> tuple[set[int], set[int], str]:
    """Numbers of the migrations this code knows, of those the database has, and the server's version.

    Raises StoreUnavailable.
    """
    links = Links(database_url, "doctor", 1, 10.0)
    try:
        known = {migration.number for migration in migrations()}
        return known, *await links.run(_applied)
    finally:
        await links.close()


async def _applied(connection: Connection) -> tuple[set[int], str]:
    server = str(await connection.fetchval("show server_version")).split()[0]
    if await connection.fetchval("select to_regclass('thespis.migrations')") is None:
        return set(), server
    rows = await connection.fetch("select number from thespis.migrations")
    return {int(row["number"]) for row in rows}, server
