"""Activation: actors that got a message are folded from snapshot and tail, many per query."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from actors.core.cell import Cell
from actors.core.fold import Folded, restore
from actors.core.sealing import Sealing, restored
from events.errors import StoreUnavailable, ThespisError, Unavailable, Unserved
from events.store import EventStore, Loaded

PER_QUERY = 64
CONCURRENT = 4

OnLoaded = Callable[[Cell, Folded | None, Loaded | None, Exception | None], None]
OnAbsent = Callable[[Cell, ThespisError], None]


class Loader:
    """Loads cells in batches: what arrives while a query runs goes into the next.

    An absent store is waited out, and `on_absent` told at each try that fails.
    """

    def __init__(
        self, store: EventStore, on_loaded: OnLoaded, on_absent: OnAbsent, sealing: Sealing | None = None
    ) -> None:
        self._store = store
        self._on_absent = on_absent
        self._sealing = sealing
        self._on_loaded = on_loaded
        self._waiting: dict[Cell, None] = {}
        self._loading: set[Cell] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self.loads = 0

    def want(self, cell: Cell) -> None:
        """Ask for a cell; wanted twice is loaded once."""
        if cell in self._loading:
            return
        self._waiting[cell] = None
        if not self._scheduled and len(self._tasks) < CONCURRENT:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._tasks) < CONCURRENT:
            cells = list(self._waiting)[:PER_QUERY]
            for cell in cells:
                del self._waiting[cell]
            self._loading.update(cells)
            task = asyncio.create_task(self._load(cells), name="loader")
            self._tasks.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._start()

    async def _load(self, cells: list[Cell]) -> None:
        delay = 0.05
        while True:
            try:
                loaded = await self._store.load([(c.tenant, c.address, c.kind.fold_id) for c in cells])
                break
            except StoreUnavailable as error:
                for cell in cells:
                    self._on_absent(cell, error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 1.0)
            except ThespisError as error:
                for cell in cells:
                    self._loading.discard(cell)
                    self._on_loaded(cell, None, None, error)
                return
        self.loads += len(cells)
        for cell, found in zip(cells, loaded, strict=True):
            self._loading.discard(cell)
            try:
                if cell.kind.personal:
                    folded = await self._opened(cell, found)
                else:
                    folded = restore(cell.kind, cell.address, found)
            except Exception as error:
                self._on_loaded(cell, None, found, error)
            else:
                self._on_loaded(cell, folded, found, None)

    async def _opened(self, cell: Cell, loaded: Loaded) -> Folded:
        """An absent store of keys is waited out like any other."""
        while True:
            try:
                return await restored(self._sealing, cell.kind, cell.tenant, cell.address, loaded)
            except Unavailable as error:
                if isinstance(error, Unserved):
                    raise
                await asyncio.sleep(0.2)

    async def stop(self) -> None:
        """Drop what is being loaded."""
        self._waiting.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
