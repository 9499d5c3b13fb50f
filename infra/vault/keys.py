"""The port to where wrapped keys and erasures are kept. One contract suite, `tests/erasure/test_keys.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class KeyRow(msgspec.Struct, frozen=True):
    """A subject's key, wrapped by the master key of that fingerprint."""

    id: str
    tenant: str
    subject: str
    wrapped: bytes
    master: str
    created_at: int


class Erasure(msgspec.Struct, frozen=True):
    """Keys that are gone, and the streams in which something was sealed with them. `number` counts erasures."""

    number: int
    id: str
    tenant: str
    keys: list[str]
    by: str
    reason: str
    at: int
    done: bool
    streams: list[str]


class Count(msgspec.Struct, frozen=True):
    """What is sealed with some keys: rows of the log and of the tables beside it."""

    events: int = 0
    messages: int = 0
    mails: int = 0
    timers: int = 0
    effects: int = 0


class KeyStore(Protocol):
    """Wrapped keys, which streams they are used in, and erasures. All methods raise StoreUnavailable."""

    async def keys(self, ids: Sequence[str]) -> list[KeyRow]:
        """Those of these keys that are still there."""
        ...

    async def ensure(self, fresh: Sequence[KeyRow], uses: Sequence[tuple[str, str, str]]) -> list[KeyRow]:
        """The keys of the subjects of `fresh`: those kept, or else those given. `uses` are (tenant, subject, stream)
        in which they are about to be used. All of it is committed on return.
        """
        ...

    async def masters(self) -> set[str]:
        """The fingerprints of the master keys that wrap anything."""
        ...

    async def subjects(self, tenant: str, after: str, limit: int) -> list[KeyRow]:
        """Subjects with a key, by name, those after `after`."""
        ...

    async def find(self, tenant: str, subject: str) -> KeyRow | None:
        """The key of a subject."""
        ...

    async def streams(self, keys: Sequence[str]) -> list[str]:
        """The streams some keys were used in, and the forks of those."""
        ...

    async def count(self, tenant: str, keys: Sequence[str], streams: Sequence[str]) -> Count:
        """What is sealed with these keys there."""
        ...

    async def erase(self, erasure: Erasure) -> Erasure:
        """Forget the keys and note the erasure, once per id; returns it as kept, with its number and streams."""
        ...

    async def erasures(self, after: int) -> list[Erasure]:
        """Erasures with a number above `after`, ascending."""
        ...

    async def rebase(self, tenant: str, stream: str, hashes: Sequence[tuple[int, bytes, str]]) -> int:
        """Forget the stream's snapshot and its state hashes, and keep these (version, hash, fold) instead.

        Returns how many snapshots there were.
        """
        ...

    async def forget_rows(self, projections: Sequence[str]) -> None:
        """Blank what was noted about these projections in the words of their rows: keys that people decided about and
        why, keys that a switch was to park, why a build was set aside.
        """
        ...

    async def finish(self, number: int, receipt: bytes) -> None:
        """The erasure is complete."""
        ...

    async def receipt(self, number: int) -> bytes | None:
        """The receipt of an erasure that is complete."""
        ...

    async def scrub(self) -> list[str]:
        """Remove what deleted rows leave behind on the disk; returns what was not possible, in words."""
        ...
