"""Who owns which partition: liveness from leases on the store's clock, correctness from the epoch in every append."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence

from events.errors import NotOwned, StoreUnavailable, ThespisError
from events.placement import owners
from events.store import EventStore, HostRow, Lease

BEATS = 8
"""Looks at the others within the time of a lease: one that died is missed that much later at most."""

Claimed = Callable[[Collection[int]], Awaitable[None]]
Gained = Callable[[dict[int, int]], None]
Lost = Callable[[Sequence[int], bool], Awaitable[None]]


class Ownership:
    """Keeps the host's lease, claims what is its share, gives back what is not.

    `claimed(partitions)` is awaited when they were claimed, before they are served: should it raise, they go back.
    Then `gained(epochs)` is called. `lost(partitions, graceful)` is awaited before they are released (graceful: finish
    what is in flight), or when the lease ran out (drop everything, stay silent); `given()` is called once they are
    released.
    """

    def __init__(
        self,
        store: EventStore,
        host: str,
        *,
        ttl: float,
        info: bytes,
        claimed: Claimed,
        gained: Gained,
        lost: Lost,
        given: Callable[[], None],
    ) -> None:
        self._store = store
        self.host = host
        self._ttl = ttl
        self._info = info
        self._claimed = claimed
        self._gained = gained
        self._lost = lost
        self._given = given
        self.owned: dict[int, int] = {}
        self.hosts: list[HostRow] = []
        self.away: ThespisError | None = None
        """What the store said, or that it said nothing, when the lease was lost for it."""
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._generation = 0

    async def start(self) -> None:
        """Join and claim at once; raises StoreUnavailable when the store is away."""
        await self._store.join(self.name, self._ttl, self._info)
        await self._beat()
        self._task = asyncio.create_task(self._run(), name="ownership")

    async def stop(self) -> None:
        """Hand everything over."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        owned = list(self.owned)
        if owned:
            await self._lost(owned, True)
        self.owned.clear()
        await self._store.leave(self.name)
        self._given()

    def hurry(self) -> None:
        """A host joined or left: look now."""
        self._wake.set()

    def fenced(self, partition: int) -> None:
        """An append found another epoch: somebody else owns the partition."""
        if self.owned.pop(partition, None) is not None:
            self._wake.set()
            self._changed.set()

    async def changed(self, timeout: float) -> None:
        """Wait until this host owns more or fewer partitions than before, at most `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        self._changed.clear()

    @property
    def name(self) -> str:
        """The host's id in the store: a new one each time its lease ran out."""
        return f"{self.host}~{self._generation}" if self._generation else self.host

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            try:
                async with asyncio.timeout(self._ttl / BEATS):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            began = loop.time()
            try:
                async with asyncio.timeout(self._ttl):
                    await self._beat()
                renewed = began
                self.away = None
            except NotOwned:
                await self._again()
            except (ThespisError, TimeoutError) as error:
                if loop.time() - renewed > self._ttl:
                    self.away = error if isinstance(error, ThespisError) else StoreUnavailable("Postgres is silent")
                    if self.owned:
                        await self._drop()

    async def _again(self) -> None:
        """The lease ran out while this host was away: everything it held may be another's. Begin anew."""
        await self._drop()
        self._generation += 1
        try:
            await self._store.join(self.name, self._ttl, self._info)
        except ThespisError:
            return
        self._wake.set()

    async def _drop(self) -> None:
        lost = list(self.owned)
        self.owned.clear()
        self._changed.set()
        await self._lost(lost, False)

    async def _beat(self) -> None:
        self.hosts, leases = await self._store.heartbeat(self.name)
        alive = tuple(h.id for h in self.hosts if h.alive)
        mine = {partition for partition, owner in enumerate(owners(alive)) if owner == self.name}
        # What the store has under this name and nobody serves: the answer to a claim or a release was lost.
        stray = [lease.partition for lease in leases if lease.owner == self.name and lease.partition not in self.owned]
        if stray:
            await self._store.release(self.name, stray)
        await self._give_back(leases, mine)
        free = [
            lease.partition
            for lease in leases
            if lease.partition in mine
            and lease.partition not in self.owned
            and (lease.owner is None or lease.owner not in alive or lease.owner == self.name)
        ]
        if free:
            epochs = await self._store.claim(self.name, free)
            if epochs:
                await self._claimed(epochs)
                self.owned.update(epochs)
                self._gained(epochs)
                self._changed.set()

    async def _give_back(self, leases: list[Lease], mine: Collection[int]) -> None:
        held = {lease.partition: lease for lease in leases}
        moved = [p for p, epoch in self.owned.items() if held[p].owner != self.name or held[p].epoch != epoch]
        if moved:
            for partition in moved:
                del self.owned[partition]
            self._changed.set()
            await self._lost(moved, False)
        extra = [p for p in self.owned if p not in mine]
        if extra:
            for partition in extra:
                del self.owned[partition]
            self._changed.set()
            await self._lost(extra, True)
            await self._store.release(self.name, extra)
            self._given()
