"""What a host does about people: waits for their keys, forgets what it knew of them, keeps them out of errors."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from actors.core.cell import Cell, Work
from actors.core.deciding import REPLY
from events.envelope import Answer
from events.errors import ThespisError, Unavailable
from events.sealing import is_sealed, keys_in, unseal
from events.subjects import KeysNeeded, Place

if TYPE_CHECKING:
    from actors.core.host import Host

log = logging.getLogger("thespis.host")


class Personal:
    """Of no use, and of no cost, on a host without marked types."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def wait(self, cell: Cell, needed: KeysNeeded, *, hold: bool) -> None:
        """Fetch keys an actor needs for the message at the front of its queue; with `hold` it does nothing else."""
        if hold:
            cell.busy = True
        self._host.memory.spawn(self._wait(cell, needed, hold))

    async def _wait(self, cell: Cell, needed: KeysNeeded, hold: bool) -> None:
        error = await self._fetch(needed)
        if not hold:
            return
        cell.busy = False
        if error is not None:
            log.error("%s stays unserved: %s", cell.address, error)
            self._host.supervision.drop(cell, error)
        elif cell.queue:
            self._host.run_queue.make_ready(cell)

    async def _fetch(self, needed: KeysNeeded) -> ThespisError | None:
        """Wait out an absent store; any other error is returned."""
        sealing = self._host.words.sealing
        assert sealing is not None
        delay = 0.05
        while True:
            try:
                await sealing.keyring.fetch(needed)
            except Unavailable:
                await asyncio.sleep(delay)
                delay = min(delay * 2, 1.0)
            except ThespisError as error:
                return error
            else:
                return None

    def again(self, work: Work, cell: Cell, first: Answer) -> None:
        """Give the first answer once more, with what is sealed in it opened if that is still possible."""
        assert work.done is not None
        first = msgspec.structs.replace(first, duplicate=True)
        if self._host.words.sealing is None or first.data is None or not is_sealed(first.data):
            work.done(first)
        else:
            self._host.memory.spawn(self._again(work, cell, first))

    async def _again(self, work: Work, cell: Cell, first: Answer) -> None:
        sealing, done, data = self._host.words.sealing, work.done, first.data
        assert sealing is not None
        assert done is not None
        assert data is not None
        place = Place(cell.tenant, cell.address, work.message.id, REPLY)
        needed = KeysNeeded()
        needed.keys |= keys_in(data)
        while True:
            error = await self._fetch(needed)
            if error is not None:
                done(error)
                return
            try:
                done(msgspec.structs.replace(first, data=unseal(sealing.keyring, data, place)))
                return
            except KeysNeeded as missing:
                needed = missing

    def erased(self, tenant: str, streams: Sequence[str]) -> None:
        """A subject was erased: what was opened of these streams is forgotten, and folded again when needed."""
        cells = self._host.cells.get(tenant, {})
        self._host.memory.unlearn(tenant, streams)
        for stream in streams:
            cell = cells.get(stream)
            if cell is not None and cell.kind.personal:
                self._unload(cell)

    def _unload(self, cell: Cell) -> None:
        if cell.busy:
            # An append is in flight; what it says is sealed with keys that may be gone, and then nobody reads it.
            asyncio.get_running_loop().call_later(0.01, self._unload, cell)
        else:
            cell.unload()

    def said(self, cell: Cell, error: Exception) -> str:
        """An error as it may be recorded: that of an actor with personal data could quote them."""
        name = type(error).__name__
        if self._host.words.sealing is None or not (cell.kind.personal or cell.kind.messages.plans):
            return f"{name}: {error}"
        where = traceback.extract_tb(error.__traceback__)
        place = f" at {where[-1].filename.rpartition('/')[2]}:{where[-1].lineno}" if where else ""
        return f"{name}{place}; the rest is withheld, for this kind has personal fields"
