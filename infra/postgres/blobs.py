"""Large values in the table that holds the log's large bodies, marked so that pruning leaves them."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from events.errors import NotFound
from infra.postgres.connection import Links

_PUT: Final = """
insert into thespis.blobs as b (sha256, data, kept) values ($1, $2, true)
    on conflict (sha256) do update set kept = true where not b.kept"""
_GET: Final = "select data from thespis.blobs where sha256 = $1"


class PostgresBlobs:
    """`events.blobs.Blobs` on a few connections, to a database that has migration 0009."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def put(self, data: bytes) -> str:
        """Keep the bytes. Raises StoreUnavailable."""
        digest = sha256(data)
        await self._links.run(lambda connection: connection.execute(_PUT, digest.digest(), data))
        return digest.hexdigest()

    async def get(self, sha256: str) -> bytes:
        """The bytes. Raises NotFound, StoreUnavailable."""
        try:
            name = bytes.fromhex(sha256)
        except ValueError:
            raise NotFound(f"{sha256!r} is not the name of a value", hint="64 hexadecimal digits") from None
        found = await self._links.run(lambda connection: connection.fetchval(_GET, name))
        if found is None:
            raise NotFound(f"there is no value {sha256}")
        return bytes(found)
