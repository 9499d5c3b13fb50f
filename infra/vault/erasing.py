"""Erasing a subject: the keys are destroyed, and then everything that was made with them is found and made anew.

The order matters: the record beside the database first, then the keys, then everybody's memory, then what was folded.
Each step may be repeated, so an erasure that was cut off is completed at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from actors.core.fold import begin
from actors.core.kind import Kind, encode_state
from actors.core.sealing import Sealing, proof, refolded
from events import chain
from events.address import partition_of, split
from events.errors import Conflict, NotFound, ThespisError
from events.ids import random_id
from events.store import Append, EventStore, NewEvent, Status
from events.system import SubjectErased
from infra.vault.keyring import AGE, Ring
from infra.vault.keys import Erasure, KeyStore
from infra.vault.record import Record, Recorded
from projections import Projector
from projections.core.port import ReadModelStore

log = logging.getLogger("thespis.vault")

STREAM = "system/erasures"
PAGE = 500
MARGIN = 0.5
"""Seconds beyond the age of keys in memory."""
CATCH_UP = 600.0
"""Seconds a projection may take to be built anew before that is begun again."""


class Eraser:
    """Erases subjects. `announce` lets other hosts look at once; `elsewhere` removes what others keep beside the
    log, and returns in words what it could not; `shared` says that there may be other hosts."""

    def __init__(
        self,
        store: EventStore,
        keys: KeyStore,
        ring: Ring,
        sealing: Sealing,
        kinds: Mapping[str, Kind],
        projector: Projector,
        models: ReadModelStore,
        *,
        now: Callable[[], int],
        types: Sequence[str],
        record: Record | None = None,
        announce: Callable[[], None] = lambda: None,
        elsewhere: Callable[[], Awaitable[list[str]]] | None = None,
        shared: bool = True,
    ) -> None:
        self._store = store
        self._keys = keys
        self._ring = ring
        self._sealing = sealing
        self._kinds = kinds
        self._projector = projector
        self._models = models
        self._now = now
        self._types = frozenset(types)
        self._record = record
        self._announce = announce
        self._elsewhere = elsewhere
        self._shared = shared
        self._tasks: dict[str, asyncio.Task[SubjectErased]] = {}

    async def erase(self, tenant: str, subject: str, by: str, reason: str) -> Erasure:
        """Destroy a subject's key: from its return on nothing new is read with it. The rest goes on, see `receipt`.

        Raises NotFound when nothing is kept of the subject, StoreUnavailable.
        """
        row = await self._keys.find(tenant, subject)
        if row is None:
            raise NotFound("nothing is sealed for this subject", hint="it was erased before, or is spelled otherwise")
        now = self._now()
        erasure = Erasure(0, random_id(now), tenant, [row.id], by, reason, now, False, [])
        if self._record is not None:
            recorded = Recorded(erasure.id, tenant, erasure.keys, by, reason, now)
            await asyncio.to_thread(self._record.add, recorded)
        erasure = await self._keys.erase(erasure)
        self._ring.forget(erasure)
        self._announce()
        self._begin(erasure)
        return erasure

    async def receipt(self, erasure: str) -> SubjectErased:
        """Wait until an erasure that goes on here is complete."""
        return await asyncio.shield(self._tasks[erasure])

    async def reapply(self) -> int:
        """At start, before anything is served: destroy again the keys that a restored dump brought back.

        Returns how many erasures are to be completed.
        """
        known = {erasure.id: erasure for erasure in await self._keys.erasures(0)}
        back = 0
        for one in self._record.all() if self._record is not None else ():
            if one.id not in known or await self._keys.keys(one.keys):
                kept = await self._keys.erase(
                    Erasure(0, one.id, one.tenant, one.keys, one.by, one.reason, one.at, False, [])
                )
                known[one.id] = kept
                back += 1
        if back:
            log.warning("%d erasures of the record were not in the database: applied again", back)
        return sum(not erasure.done for erasure in known.values())

    async def resume(self) -> None:
        """Complete what was cut off, here or elsewhere."""
        for erasure in await self._keys.erasures(0):
            if not erasure.done:
                self._begin(erasure)

    async def stop(self) -> None:
        """Leave what goes on to the next start."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _begin(self, erasure: Erasure) -> None:
        if erasure.id not in self._tasks:
            self._tasks[erasure.id] = asyncio.create_task(self._complete(erasure), name=f"erasure-{erasure.id}")

    async def _complete(self, erasure: Erasure) -> SubjectErased:
        delay = 0.2
        while True:
            try:
                return await self._work(erasure)
            except ThespisError as error:
                log.warning("erasure %s goes on in %g s: %s", erasure.id, delay, error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 30.0)

    async def _work(self, erasure: Erasure) -> SubjectErased:
        if self._shared:
            # After this long no host uses a key it has not looked after, so nobody folds what is erased.
            await asyncio.sleep(AGE + MARGIN)
        streams = await self._keys.streams(erasure.keys)
        count = await self._keys.count(erasure.tenant, erasure.keys, streams)
        left: list[str] = []
        snapshots = states = 0
        for stream in streams:
            hashes = await self._hashes(erasure.tenant, stream, left)
            snapshots += await self._keys.rebase(erasure.tenant, stream, hashes)
            states += len(hashes)
        projections = await self._fold_anew(erasure)
        await self._keys.forget_rows(projections)
        if self._elsewhere is not None:
            left += await self._elsewhere()
        left += await self._keys.scrub()
        receipt = SubjectErased(
            erasure.id, erasure.keys, erasure.by, erasure.reason, erasure.at, streams, count.events, count.messages,
            count.mails, count.timers, count.effects, snapshots, states, projections, left,
        )  # fmt: skip
        await self._append(erasure, receipt)
        await self._keys.finish(erasure.number, msgspec.json.encode(receipt))
        log.info("erasure %s is complete: %d streams, %d events", erasure.id, len(streams), count.events)
        return receipt

    # -- what was folded
    async def _hashes(self, tenant: str, stream: str, left: list[str]) -> list[tuple[int, bytes, str]]:
        """The state hashes a stream has, as today's code and what can still be read make them."""
        kind = self._kinds.get(split(stream)[0])
        known = {h.version: h for h in await self._store.state_hashes(tenant, stream)}
        if kind is None:
            if known:
                left.append(f"{stream}: its states are not verified any more, for its kind is not known here")
            return []
        if not kind.personal:
            return [(h.version, h.hash, h.fold) for h in known.values()]
        folded, version = begin(kind, stream), 0
        found: list[tuple[int, bytes, str]] = []
        while known:
            events = await self._store.read_stream(tenant, stream, version, limit=PAGE)
            for event in events:
                version = event.version
                try:
                    await refolded(self._sealing, kind, folded, [event])
                except ThespisError:
                    raise
                except Exception as error:
                    left.append(f"{stream} version {version} cannot be folded: {type(error).__name__}")
                    return found
                if version in known:
                    hashed = proof(self._sealing, kind, encode_state(folded.state))
                    found.append((version, hashed, kind.fold_id))
            if len(events) < PAGE:
                break
        return found

    async def _fold_anew(self, erasure: Erasure) -> list[str]:
        """Build every projection that reads personal fields beside the one there is, and drop the old rows."""
        names = [
            name
            for name, projection in sorted(self._projector.projections.items())
            if not self._types.isdisjoint(projection.type_names)
        ]
        reason = f"erasure {erasure.id}"
        for name in names:
            old = live = max((build.number for build in await self._models.builds(name)), default=0)
            while True:
                build = await self._projector.rebuild(name)
                # One that was under way may have read what is gone now; it is only followed by another one.
                with contextlib.suppress(Conflict):
                    await self._projector.switch(name, build.number, erasure.by, reason, CATCH_UP)
                builds = await self._models.builds(name)
                live = max((build.number for build in builds if build.state == "live"), default=0)
                if live > old:
                    break
            for build in builds:
                if build.number < live:
                    await self._projector.drop(name, build.number)
        return names

    # -- the receipt
    async def _append(self, erasure: Erasure, receipt: SubjectErased) -> None:
        """Once: its event's id is that of the erasure."""
        tenant = erasure.tenant
        while True:
            loaded = (await self._store.load([(tenant, STREAM, "")]))[0]
            past = await self._store.read_stream(tenant, STREAM)
            if any(event.id == erasure.id for event in past):
                return
            data, version = msgspec.json.encode(receipt), loaded.version + 1
            link = chain.link(loaded.hash, tenant, STREAM, version, erasure.id, "SubjectErased", 1, erasure.id, data)
            event = NewEvent(erasure.id, "SubjectErased", 1, data, erasure.id, erasure.id, link)
            row = Append(tenant, STREAM, partition_of(tenant, STREAM), None, loaded.version, [event])
            if (await self._store.append([row])).verdicts[0].status is Status.WRITTEN:
                return
