"""Commands that need no host: the log and the tokens of a database, opened for as long as a command runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from events.store import EventStore
from events.tokens import TokenStore
from infra.postgres import open_store
from infra.postgres.connection import Connection, Links
from infra.postgres.migrate import migrations
from infra.postgres.tokens import PostgresTokens


@asynccontextmanager
async def open_log(database_url: str, *, migrate: bool = False) -> AsyncGenerator[EventStore]:
    """The log of a database; with `migrate` brought up to this code first. Raises StoreUnavailable, Conflict."""
    async with open_store(database_url, readers=8, migrated=not migrate) as store:
        yield store


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
