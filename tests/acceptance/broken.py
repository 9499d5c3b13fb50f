"""Adapters that break one promise each: proof that the harness can fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from events.store import Append, Appended, Effect, Mail, MailKey, Timer
from infra.memory.projections import MemoryReadModels
from infra.memory.store import MemoryStore
from projections.core.port import Build, Commit
from tests.acceptance.world import InMemory


class Forgetful(MemoryStore):
    """P1: now and then an append is said to be written, and is not."""

    _count = 0

    async def append(self, batch: Sequence[Append]) -> Appended:
        self._count += 1
        if self._count % 20:
            return await super().append(batch)
        head, length = await self.head(), len(self._tables.log)
        appended = await super().append(batch)
        for event in self._tables.log[length:]:
            self._tables.streams[event.tenant, event.stream].remove(event)
        del self._tables.log[length:]
        assert await self.head() == head
        return appended


class WithoutInbox(MemoryStore):
    """P2: nobody remembers what was handled."""

    async def append(self, batch: Sequence[Append]) -> Appended:
        for append in batch:
            for handled in append.handled:
                self._tables.messages.pop(handled.id, None)
        return await super().append(batch)


class WithGaps(MemoryStore):
    """P3: now and then a position is left out."""

    async def append(self, batch: Sequence[Append]) -> Appended:
        appended = await super().append(batch)
        log = self._tables.log
        if log and len(log) % 9 == 0:
            log[-1] = replace(log[-1], position=log[-1].position + 1)
        return appended


class WithoutFence(MemoryStore):
    """P4: whoever owned a partition once may write."""

    async def append(self, batch: Sequence[Append]) -> Appended:
        epochs = list(self._tables.epochs)
        for append in batch:
            if append.epoch is not None:
                self._tables.epochs[append.partition] = append.epoch
        try:
            return await super().append(batch)
        finally:
            for append in batch:
                self._tables.epochs[append.partition] = epochs[append.partition]


class WithoutLedger(MemoryStore):
    """P8: that a call was begun is forgotten, when another host takes over and when it begins the call again."""

    async def append(self, batch: Sequence[Append]) -> Appended:
        for append in batch:
            for change in append.changes:
                effect = self._tables.effects.get(change.id)
                if effect is not None and effect.status == change.status == "started":
                    self._tables.put_effect(replace(effect, status="requested"))
        return await super().append(batch)

    async def effects(self, partitions: Sequence[int], after: str, limit: int) -> list[Effect]:
        found = await super().effects(partitions, after, limit)
        return [replace(effect, status="requested") if effect.status == "started" else effect for effect in found]


class Shuffled(MemoryStore):
    """P9: of two tells, the second comes first."""

    async def append(self, batch: Sequence[Append]) -> Appended:
        for append in batch:
            mails: list[Mail] = list(reversed(append.mail))
            for ordinal, mail in enumerate(mails):
                mail.ordinal = ordinal
            append.mail = mails
        return await super().append(batch)


class Deaf(MemoryStore):
    """Tells that wait when a host is lost are not found."""

    async def mail(self, partitions: Sequence[int], after: int, limit: int) -> tuple[list[Mail], int]:
        return [], await self.head()

    async def mail_of(self, tenant: str, stream: str, after: MailKey | None, limit: int) -> list[Mail]:
        return []


class Timeless(MemoryStore):
    """Timers that wait when a host is lost are not found."""

    async def timers(
        self, partitions: Sequence[int], until: int, limit: int, after: tuple[int, str, str, str] | None = None
    ) -> list[Timer]:
        return [] if until < 1 << 61 else await super().timers(partitions, until, limit, after)

    async def timers_of(self, tenant: str, stream: str) -> list[Timer]:
        return []


class Skipping(MemoryReadModels):
    """P6: now and then a row is not stored, and the cursor moves on."""

    _count = 0

    async def commit(self, build: Build, commit: Commit) -> Build | None:
        self._count += 1
        if self._count % 5 == 0:
            commit = replace(commit, changes=[])
        return await super().commit(build, commit)


class Overlapping(MemoryReadModels):
    """P6: two projectors of the same projection both store what they folded."""

    async def commit(self, build: Build, commit: Commit) -> Build | None:
        now = next(b for b in await self.builds(build.projection) if b.number == build.number)
        return await super().commit(replace(build, revision=now.revision), commit)


class Broken(InMemory):
    """Adapters of which one is broken."""

    def __init__(self, log: type[MemoryStore] = MemoryStore, models: type[MemoryReadModels] = MemoryReadModels) -> None:
        self._log = log
        self._models = models

    def log(self, now: Callable[[], int]) -> MemoryStore:
        return self._log(now=now)

    def models(self, now: Callable[[], int]) -> MemoryReadModels:
        return self._models(now)
