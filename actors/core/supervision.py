"""When a message cannot be handled: once more from a fresh state, then the actor is parked and a person is asked.

Only the actor's own code counts. An absent store, a lost lease or a cut connection never parks anybody.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, cast

from actors.core.cell import Cell, Work
from actors.core.deciding import decide_into
from actors.core.draft import Draft
from events.address import partition_of
from events.envelope import Message
from events.errors import OutcomeUnknown, Parked, ThespisError
from events.ids import random_id
from events.store import MailKey
from events.system import ActorParked

if TYPE_CHECKING:
    from actors.core.host import Host

log = logging.getLogger("thespis.supervision")


class Supervision:
    """Retries, parking, and turning away what waits for an actor that cannot take it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.resting = 0
        """Messages that failed and are about to be tried again."""
        self.poison: dict[tuple[str, str, str], int] = {}
        """Messages that took down enough hosts, by (tenant, actor, id): how many."""

    async def recall(self) -> None:
        """Count the death of the process before this one, if it died with a message in hand."""
        found = self._host.hand.found
        if found is None:
            return
        tenant, address, message = found
        deaths = await self._host.store.strike(tenant, address, message, "the host died with this message in hand")
        log.warning("the host died while %s handled message %s (%d times)", address, message, deaths)

    async def learn(self, partitions: Collection[int]) -> None:
        """Look what hosts died of in partitions that come here. Raises StoreUnavailable.

        What an operator had go on in those that are here already stays forgiven."""
        strikes = await self._host.store.strikes(self._host.settings.deaths)
        for key, deaths in strikes.items():
            if partition_of(*key[:2]) in partitions:
                self.poison[key] = deaths

    def forgive(self, cell: Cell) -> None:
        """An operator has the actor go on: its message is tried once more."""
        self.poison = {key: deaths for key, deaths in self.poison.items() if key[:2] != (cell.tenant, cell.address)}

    def failed(self, cell: Cell, works: list[Work], error: Exception) -> None:
        """The last of `works` could not be handled; those before it were to go into the same append."""
        host = self._host
        cell.unload()
        work = works[-1]
        work.attempts += 1
        for one in works:
            one.solo = True
        if work.attempts < host.settings.attempts or len(works) > 1:
            cell.busy = True
            self.resting += len(works)
            delay = host.settings.backoff * 2 ** (work.attempts - 1)
            asyncio.get_running_loop().call_later(delay, self._again, cell, works)
            return
        said, message = host.personal.said(cell, error), work.message
        shown = None if cell.kind.personal or cell.kind.messages.plans else error
        log.error("%s cannot handle %s %s: %s", cell.address, message.type, message.id, said, exc_info=shown)
        self.park(cell, work, "it cannot handle a message", said)

    def _again(self, cell: Cell, works: list[Work]) -> None:
        cell.busy = False
        self.resting -= len(works)
        self._host.run_queue.requeue(cell, works)

    def is_poison(self, cell: Cell, work: Work) -> bool:
        """Whether this message took down too many hosts."""
        id = work.message.id
        return (cell.tenant, cell.address, id) in self.poison and cell.skip != id

    def set_aside(self, cell: Cell) -> None:
        """Park an actor whose next message took down too many hosts."""
        work = self._host.run_queue.take(cell)
        deaths = work.attempts = self.poison.pop((cell.tenant, cell.address, work.message.id))
        self.park(cell, work, "it takes down the process that handles it", f"{deaths} hosts died")

    def park(self, cell: Cell, work: Work, reason: str, error: str) -> None:
        """Record that the actor is parked; what waits for it waits on in the store."""
        host = self._host
        message = work.message
        note = ActorParked(message.id, message.type, reason, error, work.attempts)
        now = host.now()
        parking = Message(
            random_id(now), "", cell.address, cell.tenant, b"", f"host/{host.id}", now,
            message.causation or message.id, message.correlation,
        )  # fmt: skip
        draft = Draft(cell)
        decide_into(draft, Work(parking, note=note), host.words)
        cell.parked = note
        cell.busy = True
        # Without the partition nothing is written, and whoever owns it now comes to its own conclusion.
        epoch = host.owned.get(cell.partition, -1)
        host.appender.submit(draft.append(epoch), partial(host.verdicts.take, cell, draft))
        self.answer(work, parked(cell))
        self.turn_away(cell, lambda: parked(cell))

    def turn_away(self, cell: Cell, error: Callable[[], ThespisError]) -> None:
        """Empty the queue: outside senders are told, what has a row stays in the store."""
        queue, cell.queue = cell.queue, None
        cell.backlog = cell.seen = None
        for work in queue or ():
            self._host.run_queue.waiting -= 1
            self.answer(work, error())

    def tell_outside(self, cell: Cell, error: ThespisError) -> None:
        """The log is away: who waits outside is told, what has a row waits on."""
        outside = [work for work in cell.queue or () if work.done is not None]
        if outside:
            cell.queue = deque(work for work in cell.queue or () if work.done is None)
            self._host.run_queue.waiting -= len(outside)
        lost = OutcomeUnknown(f"nobody knows whether {cell.address} has handled it: {error}")
        for work in outside:
            self.answer(work, lost if work.uncertain else error)

    def leave_to_store(self, cell: Cell) -> None:
        """Tells that wait in the store are older than those that came into memory meanwhile: take all from there."""
        for work in [work for work in cell.queue or () if work.mail is not None]:
            cast("deque[Work]", cell.queue).remove(work)
            self._host.run_queue.waiting -= 1
        cell.backlog = MailKey(cell.partition, 0, 0)

    def answer(self, work: Work, error: ThespisError) -> None:
        """The message is not handled here and now."""
        host = self._host
        if work.done is not None:
            work.done(error)
        elif work.change is not None:
            host.effects.undelivered(work.change)
        elif work.timer is not None:
            host.timers.drop(work.message.tenant, work.message.to, work.timer[0], work.timer[1])

    def drop(self, cell: Cell, error: ThespisError) -> None:
        """Take an actor out of memory; who waits for it is told."""
        self.turn_away(cell, lambda: error)
        cells = self._host.cells.get(cell.tenant, {})
        if cells.get(cell.address) is cell:
            del cells[cell.address]


def parked(cell: Cell) -> Parked:
    """The error for whoever sends something to a parked actor."""
    why = cell.parked
    return Parked(
        f"{cell.address} is parked: {why.reason if why else 'unknown'}",
        hint=f"look at it with `thespis actors show {cell.address}`, then `thespis actors resume {cell.address}`",
    )
