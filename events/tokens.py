"""The port to where bearer tokens are kept. What they mean is the door's business, see `gateway/tokens.py`."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Token(msgspec.Struct, frozen=True):
    """A row of the token table. Times are microseconds since 1970 (UTC); `hash` is the SHA-256 of the whole token.

    `name` is who holds it: the principal `user:<name>` in messages and events, and the owner of idempotency keys, so a
    successor of the same name may repeat what its predecessor sent.
    """

    id: str
    tenant: str
    name: str
    scopes: tuple[str, ...]
    hash: bytes
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None


class TokenStore(Protocol):
    """Where tokens are kept. All methods raise StoreUnavailable when it is away."""

    async def add(self, token: Token) -> None:
        """Keep a new token. Raises Conflict when its id is taken."""
        ...

    async def get(self, id: str) -> Token | None:
        """The token of that id, revoked and expired ones too."""
        ...

    async def all(self, tenant: str | None = None) -> list[Token]:
        """Every token, or those of one tenant, oldest first."""
        ...

    async def revoke(self, id: str, at: int) -> bool:
        """Mark as revoked at `at` (µs), keeping an earlier mark; False when there is no such token."""
        ...
