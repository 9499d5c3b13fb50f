"""Tokens in memory, for tests and the in-memory system."""

from __future__ import annotations

import msgspec

from events.errors import Conflict
from events.tokens import Token


class MemoryTokens:
    """A `TokenStore` that forgets everything with the process."""

    def __init__(self) -> None:
        self._rows: dict[str, Token] = {}

    async def add(self, token: Token) -> None:
        """Keep a new token. Raises Conflict when its id is taken."""
        if token.id in self._rows:
            raise Conflict(f"token id {token.id} is taken")
        self._rows[token.id] = token

    async def get(self, id: str) -> Token | None:
        """The token of that id, revoked and expired ones too."""
        return self._rows.get(id)

    async def all(self, tenant: str | None = None) -> list[Token]:
        """Every token, or those of one tenant, oldest first."""
        rows = [row for row in self._rows.values() if tenant in (None, row.tenant)]
        return sorted(rows, key=lambda row: (row.created_at, row.id))

    async def revoke(self, id: str, at: int) -> bool:
        """Mark as revoked, keeping an earlier mark; False when there is no such token."""
        row = self._rows.get(id)
        if row is None:
            return False
        if row.revoked_at is None:
            self._rows[id] = msgspec.structs.replace(row, revoked_at=at)
        return True
