"""Partitions coming and going."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from actors.core.cell import Cell
from events.errors import NotOwned

if TYPE_CHECKING:
    from actors.core.host import Host

PATIENCE = 0.4
"""Seconds that commits under way may hold up a hand-over."""


class Handover:
    """What a host does when it gains or loses partitions."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.leaving: dict[asyncio.Future[None], list[Cell]] = {}
        """Who waits for which actors' commits."""
        self.listeners: list[Callable[[], None]] = []
        """Called when partitions were given back, so that others can be told to look."""
        self._departed: list[Cell] = []

    def gained(self, epochs: dict[int, int]) -> None:
        """Partitions were claimed: take up what waits in them."""
        self._host.mailroom.acquired(epochs)
        self._host.timers.acquired(epochs)
        self._host.effects.acquired(epochs)
        for router in self._host.routers:
            router.wake()

    async def lost(self, partitions: Sequence[int], graceful: bool) -> None:
        """Partitions go to others; gracefully means that what is in flight is finished first."""
        lost = set(partitions)
        self._host.mailroom.lost(lost)
        self._host.timers.lost(lost)
        cells = [c for cells in self._host.cells.values() for c in cells.values() if c.partition in lost]
        if graceful:
            busy = [cell for cell in cells if cell.busy]
            for cell in cells:
                self._host.supervision.turn_away(cell, lambda: NotOwned("the partition is moving to another host"))
            if busy:
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self.leaving[future] = busy
                try:
                    async with asyncio.timeout(PATIENCE):
                        await future
                except TimeoutError:
                    self.leaving.pop(future, None)
            self._departed += cells
        for cell in cells:
            self._host.supervision.drop(cell, NotOwned(f"{cell.address} moved to another host"))

    def given(self) -> None:
        """Partitions were given back: others may take them at once; what their actors were is written down after."""
        for listener in self.listeners:
            listener()
        if self._departed:
            self._host.memory.spawn(self.remember())

    async def remember(self) -> None:
        """Write down what actors that have left were."""
        departed, self._departed = self._departed, []
        await self._host.memory.remember(departed)

    def check_idle(self) -> None:
        """After each commit: tell those who wait for the last one."""
        for future, cells in list(self.leaving.items()):
            if not any(cell.busy for cell in cells):
                del self.leaving[future]
                if not future.done():
                    future.set_result(None)
