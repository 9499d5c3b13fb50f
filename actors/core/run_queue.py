"""Whose turn it is: actors with messages wait here, and each in turn decides what waits for it into one append."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from actors.core.cell import Cell, Work
from actors.core.deciding import decide_into
from actors.core.draft import Draft
from actors.core.supervision import parked
from events.errors import NotOwned, ThespisError
from events.subjects import KeysNeeded
from events.system import ActorParked, ActorResumed

if TYPE_CHECKING:
    from actors.core.host import Host

log = logging.getLogger("thespis.host")


class RunQueue:
    """The actors that have something to do, in the order in which they got it. Nothing here awaits."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._ready: deque[Cell] = deque()
        self._scheduled = False
        self.waiting = 0
        """Messages that wait in the queues of all actors."""

    def enqueue(self, cell: Cell, work: Work, *, front: bool = False) -> None:
        """Let a message wait for its turn."""
        queue = cell.queue
        if queue is None:
            queue = cell.queue = deque()
        if front:
            queue.appendleft(work)
        else:
            queue.append(work)
        self.waiting += 1
        if not (cell.busy or cell.ready):
            self.make_ready(cell)

    def requeue(self, cell: Cell, works: list[Work]) -> None:
        """Let messages wait again, before all others."""
        if not works:
            return
        queue = cell.queue
        if queue is None:
            queue = cell.queue = deque()
        queue.extendleft(reversed(works))
        self.waiting += len(works)
        self.make_ready(cell)

    def take(self, cell: Cell) -> Work:
        """Remove the next message from the actor's queue."""
        assert cell.queue
        self.waiting -= 1
        return cell.queue.popleft()

    def make_ready(self, cell: Cell) -> None:
        """Have the actor's queue looked at."""
        if cell.busy or cell.ready:
            return
        cell.ready = True
        self._ready.append(cell)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        ready = self._ready
        deadline = time.perf_counter() + self._host.settings.turn
        while ready:
            cell = ready.popleft()
            cell.ready = False
            if cell.queue and not cell.busy:
                try:
                    self._step(cell)
                except Exception as error:
                    # A fault of the kernel itself: this actor starts afresh, everybody else goes on.
                    log.critical("%s was dropped", cell.address, exc_info=error)
                    self._host.supervision.drop(cell, ThespisError(f"{type(error).__name__}: {error}"))
            if time.perf_counter() > deadline:
                asyncio.get_running_loop().call_soon(self._run)
                return
        self._scheduled = False

    def _step(self, cell: Cell) -> None:
        queue = cell.queue
        assert queue is not None
        host = self._host
        cell.used = host.memory.clock
        if not cell.loaded:
            host.loader.want(cell)
            return
        if cell.parked is not None and not isinstance(queue[0].note, ActorResumed):
            host.supervision.turn_away(cell, lambda: parked(cell))
            return
        epoch = host.ownership.owned.get(cell.partition)
        if epoch is None:
            host.supervision.drop(cell, NotOwned(f"{cell.address} moved to another host"))
            return
        supervision = host.supervision
        if supervision.poison and supervision.is_poison(cell, queue[0]):
            supervision.set_aside(cell)
            return
        draft = Draft(cell)
        works, batch, words = draft.works, host.settings.batch, host.words
        hand, marks = host.hand, host.hand.marks
        while queue and len(works) < batch:
            work = queue[0]
            if works and (
                work.solo
                or (work.timer is not None and draft.overtook(work.timer[0]))
                or (supervision.poison and supervision.is_poison(cell, work))
            ):
                break
            queue.popleft()
            self.waiting -= 1
            if marks:
                hand.take(cell.tenant, cell.address, work.message.id)
            try:
                decide_into(draft, work, words)
            except KeysNeeded as needed:
                queue.appendleft(work)
                self.waiting += 1
                host.personal.wait(cell, needed, hold=not works)
                if works:
                    break
                hand.put()
                return
            except Exception as error:
                hand.put()
                host.supervision.failed(cell, [*works, work], error)
                return
            if work.note is not None:
                self._noted(cell, work.note)
            if work.solo or work.note is not None:
                break
        hand.put()
        cell.busy = True
        host.appender.submit(draft.append(epoch), partial(host.verdicts.take, cell, draft))

    def _noted(self, cell: Cell, note: object) -> None:
        if isinstance(note, ActorParked):
            cell.parked = note
        elif isinstance(note, ActorResumed):
            cell.parked = None
            cell.skip = note.skipped
            self._host.supervision.leave_to_store(cell)
