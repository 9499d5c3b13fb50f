"""The port to large values: kept once under the SHA-256 of their content, however often they occur."""

from __future__ import annotations

from typing import Protocol


class Blobs(Protocol):
    """Keeps bytes by content. What was put is kept until somebody deletes it on purpose; pruning leaves it alone."""

    async def put(self, data: bytes) -> str:
        """Keep the bytes; returns their SHA-256 in hexadecimal. Safe to repeat. Raises StoreUnavailable, TooLarge."""
        ...

    async def get(self, sha256: str) -> bytes:
        """The bytes. Raises NotFound, StoreUnavailable."""
        ...
