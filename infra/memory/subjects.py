"""Keys of data subjects in memory, beside a `MemoryStore`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from events.sealing import keys_in
from events.store import StateHash
from infra.memory.store import MemoryStore
from infra.vault.keys import Count, Erasure, KeyRow


class MemoryKeys:
    """A `KeyStore` that forgets everything with the process."""

    def __init__(self, store: MemoryStore) -> None:
        self._tables = store._tables
        self._rows: dict[str, KeyRow] = {}
        self._uses: dict[str, set[str]] = {}
        self._erasures: list[Erasure] = []
        self.receipts: dict[int, bytes] = {}

    async def keys(self, ids: Sequence[str]) -> list[KeyRow]:
        """See `KeyStore.keys`."""
        return [self._rows[id] for id in ids if id in self._rows]

    async def ensure(self, fresh: Sequence[KeyRow], uses: Sequence[tuple[str, str, str]]) -> list[KeyRow]:
        """See `KeyStore.ensure`."""
        found = {(row.tenant, row.subject): row for row in self._rows.values()}
        for row in fresh:
            if found.setdefault((row.tenant, row.subject), row) is row:
                self._rows[row.id] = row
        for tenant, subject, stream in uses:
            if (row := found.get((tenant, subject))) is not None:
                self._uses.setdefault(row.id, set()).add(stream)
        return [found[row.tenant, row.subject] for row in fresh]

    async def masters(self) -> set[str]:
        """See `KeyStore.masters`."""
        return {row.master for row in self._rows.values()}

    async def subjects(self, tenant: str, after: str, limit: int) -> list[KeyRow]:
        """See `KeyStore.subjects`."""
        rows = [row for row in self._rows.values() if row.tenant == tenant and row.subject > after]
        return sorted(rows, key=lambda row: row.subject)[:limit]

    async def find(self, tenant: str, subject: str) -> KeyRow | None:
        """See `KeyStore.find`."""
        return next((r for r in self._rows.values() if r.tenant == tenant and r.subject == subject), None)

    async def streams(self, keys: Sequence[str]) -> list[str]:
        """See `KeyStore.streams`."""
        found = {stream for key in keys for stream in self._uses.get(key, ())}
        grown = True
        while grown:
            forks = {name for (_, name), (source, _) in self._tables.forks.items() if source in found}
            grown = not forks <= found
            found |= forks
        return sorted(found)

    async def count(self, tenant: str, keys: Sequence[str], streams: Sequence[str]) -> Count:
        """See `KeyStore.count`."""
        wanted, places = set(keys), {(tenant, stream) for stream in streams}

        def number(bodies: Sequence[bytes]) -> int:
            return sum(not wanted.isdisjoint(keys_in(body)) for body in bodies)

        tables = self._tables
        rows = [row.handled for place in places for row in tables.messages_of.get(place, ())]
        return Count(
            number([event.data for place in places for event in tables.streams.get(place, ())]),
            sum(bool(number([row.data, row.answer or b"null"])) for row in rows),
            number([mail.data for mail in tables.mailbox.values() if (mail.tenant, mail.stream) in places]),
            number([timer.data for place in places for timer in tables.timers.get(place, {}).values()]),
            sum(
                bool(number([effect.data, effect.outcome or b"null"]))
                for effect in tables.effects.values()
                if (effect.tenant, effect.stream) in places
            ),
        )

    async def erase(self, erasure: Erasure) -> Erasure:
        """See `KeyStore.erase`."""
        for key in erasure.keys:
            self._rows.pop(key, None)
        kept = next((e for e in self._erasures if e.id == erasure.id), None)
        if kept is None:
            streams = await self.streams(erasure.keys)
            kept = msgspec.structs.replace(erasure, number=len(self._erasures) + 1, done=False, streams=streams)
            self._erasures.append(kept)
        return kept

    async def erasures(self, after: int) -> list[Erasure]:
        """See `KeyStore.erasures`."""
        return [
            msgspec.structs.replace(e, done=e.number in self.receipts, streams=await self.streams(e.keys))
            for e in self._erasures
            if e.number > after
        ]

    async def rebase(self, tenant: str, stream: str, hashes: Sequence[tuple[int, bytes, str]]) -> int:
        """See `KeyStore.rebase`."""
        place = (tenant, stream)
        self._tables.state_hashes[place] = {v: StateHash(tenant, stream, v, hash, fold) for v, hash, fold in hashes}
        return int(self._tables.snapshots.pop(place, None) is not None)

    async def forget_rows(self, projections: Sequence[str]) -> None:
        """See `KeyStore.forget_rows`: what is noted here ends with the process."""

    async def finish(self, number: int, receipt: bytes) -> None:
        """See `KeyStore.finish`."""
        self.receipts.setdefault(number, receipt)

    async def receipt(self, number: int) -> bytes | None:
        """See `KeyStore.receipt`."""
        return self.receipts.get(number)

    async def scrub(self) -> list[str]:
        """See `KeyStore.scrub`: nothing is left behind."""
        return []
