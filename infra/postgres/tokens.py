"""Tokens in Postgres."""

from __future__ import annotations

from typing import Any

from events.errors import Conflict
from events.tokens import Token
from infra.postgres.connection import Connection, Links

_COLUMNS = "id, tenant, name, scopes, hash, created_at, expires_at, revoked_at"
_INSERT = f"insert into thespis.tokens ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (id) do nothing"
_GET = f"select {_COLUMNS} from thespis.tokens where id = $1"
_ALL = f"select {_COLUMNS} from thespis.tokens where $1::text is null or tenant = $1 order by created_at, id"
_REVOKE = "update thespis.tokens set revoked_at = coalesce(revoked_at, $2) where id = $1 returning id"


class PostgresTokens:
    """A `TokenStore` on a few connections, to a database that has migration 0003.

    Every method may be repeated after a connection was lost: it comes to the same.
    """

    def __init__(self, links: Links) -> None:
        self._links = links

    async def add(self, token: Token) -> None:
        """Keep a new token. Raises Conflict when its id is taken."""

        async def work(connection: Connection) -> Any:
            await connection.execute(
                _INSERT,
                token.id,
                token.tenant,
                token.name,
                list(token.scopes),
                token.hash,
                token.created_at,
                token.expires_at,
                token.revoked_at,
            )
            return await connection.fetchrow(_GET, token.id)

        row = await self._links.run(work)
        if row is None or bytes(row["hash"]) != token.hash:
            raise Conflict(f"token id {token.id} is taken")

    async def get(self, id: str) -> Token | None:
        """The token of that id, revoked and expired ones too."""
        row = await self._links.run(lambda connection: connection.fetchrow(_GET, id))
        return _token(row) if row else None

    async def all(self, tenant: str | None = None) -> list[Token]:
        """Every token, or those of one tenant, oldest first."""
        rows = await self._links.run(lambda connection: connection.fetch(_ALL, tenant))
        return [_token(row) for row in rows]

    async def revoke(self, id: str, at: int) -> bool:
        """Mark as revoked, keeping an earlier mark; False when there is no such token."""
        return await self._links.run(lambda connection: connection.fetchval(_REVOKE, id, at)) is not None


def _token(row: Any) -> Token:
    id, tenant, name, scopes, digest, created_at, expires_at, revoked_at = row
    return Token(id, tenant, name, tuple(scopes), bytes(digest), created_at, expires_at, revoked_at)
