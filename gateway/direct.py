"""Commands that need no host: the log and the tokens of a database, opened for as long as a command runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from events.store import EventStore
from events.tokens import TokenStore
from infra.postgres import open_store
from infra.postgres.connection import Links
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
