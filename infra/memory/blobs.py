"""Large values in memory."""

from __future__ import annotations

from hashlib import sha256

from events.errors import NotFound


class MemoryBlobs:
    """`events.blobs.Blobs` as a dictionary."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    async def put(self, data: bytes) -> str:
        """Keep the bytes."""
        name = sha256(data).hexdigest()
        self._kept[name] = data
        return name

    async def get(self, sha256: str) -> bytes:
        """The bytes. Raises NotFound."""
        try:
            return self._kept[sha256]
        except KeyError:
            raise NotFound(f"there is no value {sha256}") from None
