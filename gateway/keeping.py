"""Housekeeping of the log, on the host that owns the partition of `system/keeper`. Two at once do no harm."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container
from typing import Final

from events.address import DEFAULT_TENANT, partition_of
from events.errors import ThespisError
from events.store import EventStore, Pruned

log = logging.getLogger("thespis.keeping")

KEEPER: Final = "system/keeper"
PERIOD: Final = 3600.0
"""Seconds between two rounds."""
_DAY: Final = 86_400 * 1_000_000


class Keeper:
    """Forgets messages that were handled more than `days` ago (0: never), by the time of the newest event.

    The log's own time, so that a host whose clock is wrong forgets nothing before its time.
    """

    def __init__(self, store: EventStore, owned: Callable[[], Container[int]], days: float) -> None:
        """`owned` gives what answers `in` for the partitions of this host."""
        self._store = store
        self._owned = owned
        self._days = days
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin the rounds."""
        if self._days:
            self._task = asyncio.create_task(self._run(), name="keeper")

    async def stop(self) -> None:
        """End them; a round under way is cut off."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            if partition_of(DEFAULT_TENANT, KEEPER) in self._owned():
                try:
                    log.info("housekeeping: %s", await self.round())
                except ThespisError as error:
                    log.warning("housekeeping: %s", error)

    async def round(self) -> Pruned:
        """One round now. Raises StoreUnavailable."""
        newest = await self._store.read(max(0, await self._store.head() - 1), 1)
        if not newest:
            return Pruned()
        return await self._store.prune(newest[0].recorded_at - int(self._days * _DAY))
