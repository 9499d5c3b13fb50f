"""What comes into memory, what stays, and what is written down beside the log: activation, passivation, snapshots,
remembered state hashes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from actors.core.cell import Cell
from actors.core.fold import Folded, snapshot_bytes
from actors.core.kind import encode_state
from actors.core.sealing import proof
from events.errors import ThespisError, Unserved
from events.store import Loaded, MailKey, Snapshot, StateHash
from events.system import ActorParked, ActorResumed

if TYPE_CHECKING:
    from actors.core.host import Host

log = logging.getLogger("thespis.host")

TICK = 1.0
SLICE = 20_000
REMEMBER_AFTER = 20
"""An actor that leaves memory with this many events since its last snapshot gets a new one."""


class Memory:
    """Looks at a slice of the actors each second; those idle for their kind's time, or too many, are forgotten."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.clock = 0.0
        """Seconds, advanced by each tick: when an actor was last used, coarse and cheap."""
        self._snapshots: list[Snapshot] = []
        self._hashes: list[StateHash] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._at = 0
        self._filling: set[Cell] = set()
        self.passivated = 0

    def start(self) -> None:
        """Begin."""
        self.clock = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._run(), name="memory")

    async def stop(self) -> None:
        """Write down what is waiting, then end."""
        tasks = [t for t in (self._task, *self._tasks) if t is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._flush()

    def loaded(self, cell: Cell, folded: Folded | None, loaded: Loaded | None, error: Exception | None) -> None:
        """What became of an activation: the actor goes on, is parked, or stays unserved."""
        host = self._host
        if folded is not None and loaded is not None:
            cell.state = folded.state
            cell.version = folded.version
            cell.hash = folded.hash
            cell.parked = folded.parked
            cell.withheld = folded.withheld
            cell.skip = folded.skip
            cell.snapped = loaded.snapshot.version if loaded.snapshot is not None else 0
            cell.hashed = cell.snapped
            cell.loaded = True
            cell.used = self.clock
            host.run_queue.make_ready(cell)
            return
        if isinstance(error, ThespisError) or loaded is None:
            log.error("%s stays unserved: %s", cell.address, error)
            known = error if isinstance(error, ThespisError) else Unserved(str(error))
            host.supervision.drop(cell, known)
            return
        said = host.personal.said(cell, error or Unserved("no history"))
        log.error("%s cannot be folded: %s", cell.address, said, exc_info=None if cell.kind.personal else error)
        cell.version = loaded.version
        cell.hash = loaded.hash
        cell.loaded = True
        if cell.queue:
            work = host.run_queue.take(cell)
            host.supervision.park(cell, work, "its history cannot be folded", said)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the hot path."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def snapshot(self, cell: Cell) -> None:
        """Keep the committed state as a shortcut, and its hash as proof."""
        if cell.busy or not cell.loaded:
            return
        state = encode_state(cell.state)
        fold = cell.kind.fold_id
        content = snapshot_bytes(state, cell.parked, cell.withheld, cell.skip)
        if not cell.kind.personal:  # its history is the only place where what is personal is kept
            self._snapshots.append(Snapshot(cell.tenant, cell.address, cell.version, fold, content))
        self._hashes.append(StateHash(cell.tenant, cell.address, cell.version, self._proof(cell, state), fold))
        cell.snapped = cell.hashed = cell.version

    async def remember(self, cells: Iterable[Cell]) -> None:
        """Note the states of actors that have left, for verification and a quick return."""
        for number, cell in enumerate(cells, 1):
            self._note(cell)
            if number % 500 == 0:
                await self._flush()
        await self._flush()

    def _note(self, cell: Cell) -> None:
        if not cell.loaded or cell.busy or cell.version == cell.hashed:
            return
        if cell.version - cell.snapped >= REMEMBER_AFTER:
            self.snapshot(cell)
            return
        hashed = self._proof(cell, encode_state(cell.state))
        self._hashes.append(StateHash(cell.tenant, cell.address, cell.version, hashed, cell.kind.fold_id))
        cell.hashed = cell.version

    def _proof(self, cell: Cell, state: bytes) -> bytes:
        return proof(self._host.words.sealing, cell.kind, state)

    def unlearn(self, tenant: str, streams: Collection[str]) -> None:
        """Do not write down what these actors were: somebody was erased."""
        some = set(streams)
        self._snapshots = [s for s in self._snapshots if s.tenant != tenant or s.stream not in some]
        self._hashes = [h for h in self._hashes if h.tenant != tenant or h.stream not in some]

    def noted(self, cell: Cell, note: object) -> None:
        """An actor was parked or resumed: leave its mail, timers and outcomes in the store, or take them up again."""
        host = self._host
        if isinstance(note, ActorParked):
            host.timers.forget(cell.tenant, cell.address)
        elif isinstance(note, ActorResumed):
            host.supervision.forgive(cell)
            self.refill(cell)
            self.recall(cell)

    def recall(self, cell: Cell) -> None:
        """Take up effects and timers of an actor that are in the store, and that this host may not know of."""
        self._host.effects.again(cell.tenant, cell.address, cell.partition)
        self.spawn(self._timers_again(cell))

    async def _timers_again(self, cell: Cell) -> None:
        try:
            await self._host.timers.again(cell.tenant, cell.address)
        except ThespisError:
            self._host.timers.acquired([cell.partition])

    def refill(self, cell: Cell) -> None:
        """Fetch tells that wait in the store only."""
        if cell not in self._filling:
            self._filling.add(cell)
            self.spawn(self._refill(cell))

    async def _refill(self, cell: Cell) -> None:
        try:
            await self._fill(cell)
        finally:
            self._filling.discard(cell)

    async def _fill(self, cell: Cell) -> None:
        host = self._host
        while cell.backlog is not None and cell.partition in host.owned:
            limit = host.settings.queue_limit // 2
            try:
                mails = await host.store.mail_of(cell.tenant, cell.address, cell.backlog, limit)
            except ThespisError:
                await asyncio.sleep(0.2)
                continue
            last = host.sources.take_backlog(cell, mails)
            newest = cell.seen
            if len(mails) < limit and (newest is None or (last is not None and _at_or_after(last, newest))):
                cell.backlog = cell.seen = None
            elif last is not None:
                cell.backlog = last
                if len(mails) == limit:
                    return
            else:
                # What was announced is not there: it was consumed before.
                cell.backlog = cell.seen = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK)
            self.clock = loop.time()
            self._sweep()
            if self._snapshots or self._hashes:
                await self._flush()

    def _sweep(self) -> None:
        host = self._host
        for cells in list(host.cells.values()):
            crowded = len(cells) > host.settings.actors_limit
            start = self._at if self._at < len(cells) else 0
            idle: list[Cell] = []
            for cell in islice(cells.values(), start, start + SLICE):
                limit = 1.0 if crowded else cell.kind.idle
                if not cell.busy and not cell.queue and cell.backlog is None and self.clock - cell.used > limit:
                    idle.append(cell)
                elif not cell.queue:
                    # An empty deque is larger than all the rest of an actor that waits.
                    cell.queue = None
            for cell in idle:
                self._note(cell)
                del cells[cell.address]
            self.passivated += len(idle)
            self._at = 0 if start + SLICE >= len(cells) else start + SLICE - len(idle)

    async def _flush(self) -> None:
        snapshots, self._snapshots = self._snapshots, []
        hashes, self._hashes = self._hashes, []
        try:
            if snapshots:
                newest = {(s.tenant, s.stream): s for s in snapshots}
                await self._host.store.save_snapshots(list(newest.values()))
            if hashes:
                await self._host.store.save_state_hashes(hashes)
        except ThespisError:
            # Shortcuts and proof only: they are made anew next time.
            return


def _at_or_after(a: MailKey, b: MailKey) -> bool:
    return (a.position, a.ordinal) >= (b.position, b.ordinal)
