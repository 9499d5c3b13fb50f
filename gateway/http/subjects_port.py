"""What the door needs of whoever keeps keys of subjects."""

from __future__ import annotations

from typing import Any, Protocol


class Subjects(Protocol):
    """Who keeps keys of subjects, as far as the door needs it. Everything raises StoreUnavailable."""

    async def list(self, tenant: str, after: str, limit: int) -> list[dict[str, Any]]:
        """Subjects with a key, by name, those after `after`."""
        ...

    async def show(self, tenant: str, subject: str) -> dict[str, Any]:
        """A subject's key, and where it is used. Raises NotFound."""
        ...

    async def erase(self, tenant: str, subject: str, by: str, reason: str, patience: float) -> dict[str, Any]:
        """Destroy a subject's key, and wait so many seconds for all the rest. Raises NotFound."""
        ...

    async def erasure(self, tenant: str, id: str) -> dict[str, Any]:
        """How an erasure stands. Raises NotFound."""
        ...
