"""`MemoryStore`: the port `events.store.EventStore` without a disk, for tests and the testing kit.

It keeps every promise that does not need one. Several hosts of one event loop may share a store.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from heapq import merge
from itertools import islice

from events.address import partition_of
from events.chain import GENESIS
from events.envelope import Answer, Event
from events.store import (
    Append,
    Appended,
    Effect,
    HandledMessage,
    Loaded,
    Mail,
    MailKey,
    Snapshot,
    StateHash,
    Timer,
)
from infra.memory.store_append import append, check_bulk
from infra.memory.store_keeping import Keeping
from infra.memory.store_leases import Leases
from infra.memory.store_tables import Tables

_LAST = 2**31 - 1


def _wall_clock() -> int:
    return time.time_ns() // 1000


class MemoryStore(Leases, Keeping):
    """The log in this process. `now` is its clock: microseconds since 1970, also for leases."""

    def __init__(self, now: Callable[[], int] = _wall_clock) -> None:
        tables = Tables()
        Leases.__init__(self, tables, now)
        Keeping.__init__(self, tables)

    # -- writing
    async def append(self, batch: Sequence[Append]) -> Appended:
        """Write a batch. Lets other tasks run once before it returns, as a commit would."""
        appended = append(self._tables, batch, self._now())
        await asyncio.sleep(0)
        return appended

    async def bulk(self, appends: Sequence[Append]) -> Appended:
        """Write many events, which may bring their own times."""
        for a in appends:
            check_bulk(a)
        appended = append(self._tables, appends, self._now(), imported=True)
        await asyncio.sleep(0)
        return appended

    # -- reading the log
    async def head(self) -> int:
        """The last position."""
        return len(self._tables.log)

    async def read(self, after: int, limit: int, types: Sequence[str] | None = None) -> list[Event]:
        """The next events of the log."""
        log = self._tables.log
        if types is None:
            return log[max(0, after) : max(0, after) + limit]
        wanted = frozenset(types)
        found = (log[n] for n in range(max(0, after), len(log)) if log[n].type in wanted)
        return list(islice(found, limit))

    async def read_stream(
        self, tenant: str, stream: str, after: int = 0, upto: int | None = None, limit: int | None = None
    ) -> list[Event]:
        """Events of one stream."""
        events = self._tables.history((tenant, stream), after, _LAST if upto is None else upto)
        return list(events[:limit])

    async def load(self, keys: Sequence[tuple[str, str, str]]) -> list[Loaded]:
        """What activations need."""
        return [self._load(tenant, stream, fold) for tenant, stream, fold in keys]

    def _load(self, tenant: str, stream: str, fold: str) -> Loaded:
        key = (tenant, stream)
        own = self._tables.streams.get(key)
        if not own:
            return Loaded(0, GENESIS, None, ())
        snapshot = self._tables.snapshots.get(key)
        if snapshot is not None and snapshot.fold != fold:
            snapshot = None
        events = self._tables.history(key, snapshot.version if snapshot else 0, _LAST)
        return Loaded(own[-1].version, own[-1].hash, snapshot, [(e.version, e.type, e.schema, e.data) for e in events])

    async def streams(self, tenant: str | None = None) -> AsyncIterator[tuple[str, str, int]]:
        """Every stream there is at the start."""
        for key in sorted(self._tables.streams):
            if tenant is None or key[0] == tenant:
                yield (*key, self._tables.version(key))

    async def messages(self, tenant: str, stream: str, after: int = 0, limit: int = 1000) -> list[HandledMessage]:
        """The message log of one stream. Rows of the last version are all there, even beyond `limit`."""
        found: list[HandledMessage] = []
        for row in self._tables.messages_of.get((tenant, stream), ()):
            if row.version <= after:
                continue
            if len(found) >= limit and row.version != found[-1].version:
                break
            m = row.handled
            found.append(HandledMessage(
                tenant, stream, m.id, m.type, m.schema, m.data, m.sender, m.time, m.causation, m.correlation, m.outcome,
                m.answer, row.version, row.position, m.told,
            ))  # fmt: skip
        return found

    async def answers(self, ids: Sequence[str]) -> dict[str, tuple[bytes, Answer]]:
        """Digests and first answers of those that were handled."""
        rows = {id: self._tables.messages.get(id) for id in ids}
        return {id: (row.handled.digest, row.answer()) for id, row in rows.items() if row is not None}

    # -- mailboxes, effects, timers
    async def mail(self, partitions: Sequence[int], after: int, limit: int) -> tuple[list[Mail], int]:
        """Waiting tells of the partitions, and the head."""
        tables = self._tables
        boxes = [tables.mail_after(p, after, _LAST) for p in partitions if tables.waiting[p]]
        found = merge(*boxes, key=lambda mail: (mail.position, mail.ordinal))
        return list(islice(found, limit)), len(tables.log)

    async def mail_of(self, tenant: str, stream: str, after: MailKey | None, limit: int) -> list[Mail]:
        """Waiting tells of one actor."""
        position, ordinal = (after.position, after.ordinal) if after else (-1, -1)
        found = (
            mail
            for mail in self._tables.mail_after(partition_of(tenant, stream), position, ordinal)
            if mail.stream == stream and mail.tenant == tenant
        )
        return list(islice(found, limit))

    async def effects(self, partitions: Sequence[int], after: str, limit: int) -> list[Effect]:
        """Effects not yet delivered."""
        tables = self._tables
        ids = sorted(id for p in partitions for id in tables.open_effects[p] if id > after)
        return [tables.effects[id] for id in ids[:limit]]

    async def effect(self, id: str) -> Effect | None:
        """One row of the effect ledger."""
        return self._tables.effects.get(id)

    async def timers(
        self, partitions: Sequence[int], until: int, limit: int, after: tuple[int, str, str, str] | None = None
    ) -> list[Timer]:
        """Timers that are due."""
        tables = self._tables
        due = [tables.timers_due[p] for p in partitions]
        starts = [0 if after is None else bisect_right(places, after) for places in due]
        found = sorted(
            place
            for places, start in zip(due, starts, strict=True)
            for place in places[start : start + limit]
            if place[0] <= until
        )
        return [tables.timers[tenant, stream][name] for _, tenant, stream, name in found[:limit]]

    async def timers_of(self, tenant: str, stream: str) -> list[Timer]:
        """Timers of one actor."""
        timers = self._tables.timers.get((tenant, stream), {})
        return [timers[name] for name in sorted(timers)]

    # -- shortcuts and proof
    async def save_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        """Keep the newest snapshot of each stream."""
        kept = self._tables.snapshots
        for s in snapshots:
            old = kept.get((s.tenant, s.stream))
            if old is None or s.version >= old.version:
                kept[s.tenant, s.stream] = s

    async def save_state_hashes(self, hashes: Sequence[StateHash]) -> None:
        """Remember what states were."""
        for h in hashes:
            self._tables.state_hashes.setdefault((h.tenant, h.stream), {}).setdefault(h.version, h)

    async def state_hashes(self, tenant: str, stream: str) -> list[StateHash]:
        """Remembered states of one stream."""
        known = self._tables.state_hashes.get((tenant, stream), {})
        return [known[version] for version in sorted(known)]
