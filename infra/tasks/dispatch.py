"""The host's side of the work queue: hands calls out, knows who has them, takes their results.

The ledger of effects is the truth. What is handed out is remembered here while this host owns the run; whoever owns it
next learns from the workers' signs of life, and from the queue, what is still under way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any

from actors.core.kind import Attempt
from actors.workflows.tasks import CancelCall, TaskCall, TaskResult
from events.errors import NotOwned, ThespisError
from infra.nats import tasks as queue
from infra.nats.connection import Connection
from infra.tasks.pending import Pending, Unsure
from infra.tasks.placing import Placing, doubt
from infra.tasks.roster import Roster
from infra.tasks.wire import HALT, Beat, Halt, encode

log = logging.getLogger("thespis.tasks")

LOST_AFTER = 10.0
"""Seconds without a sign of life after which a worker is lost."""

STOPPED = "stopped before anybody began"

Find = Callable[[TaskCall, str], Awaitable["tuple[str, Any] | None"]]
"""Asks a task's own reconciler."""


Owned = Collection[int]
"""The partitions served here, now."""


class Dispatch:
    """Calls that are out, by effect."""

    def __init__(
        self,
        connection: Connection,
        find: Find,
        *,
        lost_after: float = LOST_AFTER,
        replicas: int = 1,
        tick: float = 0.5,
    ) -> None:
        self._connection = connection
        self._owned: Owned = ()
        self._find = find
        self._lost_after = lost_after
        self._tick = tick
        self._loop = asyncio.get_running_loop()
        self._placing = Placing(connection, replicas)
        self._tasks: set[asyncio.Task[None]] = set()
        self.roster = Roster(connection, lost_after, self._on_beat)
        self.pending: dict[str, Pending] = {}
        self._by_step: dict[tuple[str, str, str, int], Pending] = {}
        self._early: dict[tuple[str, str, str, int], float] = {}
        """The grace of calls that are to stop as soon as we know who has them."""

    async def start(self, owned: Owned) -> None:
        """Begin to listen, and to look after what is out of the runs whose partitions are `owned`."""
        self._owned = owned
        self._connection.on_reconnect.append(self._doubt)
        await self.roster.start()
        self._spawn(self._watch())

    async def stop(self) -> None:
        """Look after nothing any more; workers go on, and report to whoever owns the runs next."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(ValueError):
            self._connection.on_reconnect.remove(self._doubt)
        await self._placing.stop()
        await self.roster.stop()

    # -- out

    async def perform(self, call: TaskCall, attempt: Attempt, effect_class: str, name: str) -> Any:
        """Have a worker of queue `name` perform it; the TaskResult. Raises Unsure."""
        known = self.pending.get(attempt.effect)
        if known is not None:
            return await asyncio.shield(known.done)
        await self.roster.ready()
        pending = self._open(call, attempt, effect_class, name)
        attached = self._attached(pending)
        if (grace := self._early.get(pending.name)) is not None:
            # It was stopped, in the time of an owner before us perhaps: nobody is to begin it any more.
            pending.sequence = None if attached else await self._placing.find(pending)
            if not pending.worker and pending.sequence is None:
                self._close(pending)
                return TaskResult(kind="cancelled", message=STOPPED)
            await self._stop(pending, grace)
        elif not attached:
            self._placing.put(pending, str(attempt.number))
        return await self._wait(pending)

    async def attach(self, call: TaskCall, attempt: Attempt, name: str) -> tuple[str, Any] | None:
        """Wait for an irreversible call that an owner before us handed out: a worker has it, or it is not begun."""
        await self.roster.ready()
        pending = self._open(call, attempt, "irreversible", name)
        if self._attached(pending):
            pending.claimed = True  # perhaps not yet, but who knows
        else:
            pending.sequence = await self._placing.find(pending)
        if not pending.worker and pending.sequence is None:
            self._close(pending)
            return None
        if (grace := self._early.get(pending.name)) is not None:
            await self._stop(pending, grace)
        try:
            return "succeeded", await self._wait(pending)
        except Unsure:
            return None

    async def cancel(self, request: CancelCall, attempt: Attempt) -> bool:
        """Stop a call; says whether it is one of ours. Its result comes as ever."""
        pending = self._by_step.get((attempt.tenant, request.run, request.step, request.attempt))
        if pending is None:
            return False
        if not pending.cancelled:
            await self._stop(pending, request.grace)
        return True

    def cancel_early(self, request: CancelCall, attempt: Attempt) -> None:
        """Stop a call that was asked for and is not out yet: we still listen for who has it."""
        self._early[attempt.tenant, request.run, request.step, request.attempt] = request.grace

    async def _stop(self, pending: Pending, grace: float) -> None:
        pending.cancelled = True
        pending.halt_by = self._loop.time() + grace + self._lost_after
        self._halt(pending, grace)
        if not pending.worker:
            await self._placing.recall(pending, "cancelled", STOPPED)

    def _open(self, call: TaskCall, attempt: Attempt, effect_class: str, name: str) -> Pending:
        place = queue.subject(name, attempt.tenant, call.labels, attempt.effect)
        pending = Pending(call, attempt, effect_class, place, name, self._loop.time())
        self.pending[attempt.effect] = pending
        self._by_step[pending.name] = pending
        return pending

    def _attached(self, pending: Pending) -> bool:
        found = self.roster.holder(pending.effect)
        if found is not None:
            pending.worker, pending.turn = found
        return found is not None

    async def _wait(self, pending: Pending) -> Any:
        try:
            return await pending.done
        finally:
            self._close(pending)

    def _close(self, pending: Pending) -> None:
        if self.pending.get(pending.effect) is pending:
            del self.pending[pending.effect]
        self._early.pop(pending.name, None)
        if self._by_step.get(pending.name) is pending:
            del self._by_step[pending.name]

    def _halt(self, pending: Pending, grace: float) -> None:
        call = pending.call
        with suppress(ThespisError):
            halt = Halt(pending.effect, pending.tenant, call.run, call.step, call.attempt, grace)
            self._connection.send(HALT, encode(halt))

    # -- watching

    def _on_beat(self, beat: Beat) -> None:
        for effect, turn in beat.holding.items():
            pending = self.pending.get(effect)
            if pending is None or pending.turn not in (None, turn):
                continue
            pending.turn, pending.worker = turn, beat.worker
            pending.since = self._loop.time()
            pending.refused = 0

    def _doubt(self) -> None:
        """The bus went and came: its stream may be another."""
        doubt(self.pending.values())

    async def _watch(self) -> None:
        while True:
            before = self._loop.time()
            await asyncio.sleep(self._tick)
            if not self._connection.connected or self._loop.time() - before > 2 * self._tick + 0.5:
                self.roster.deaf()
                continue
            try:
                await self._look()
            except ThespisError as error:
                log.debug("looking after the queue: %s", error)
            except Exception:
                log.exception("looking after the queue failed")

    async def _look(self) -> None:
        now = self._loop.time()
        self.roster.forget()
        heads: dict[tuple[str, str], int | None] = {}
        for pending in list(self.pending.values()):
            if pending.done.done():
                continue
            if pending.partition not in self._owned:
                pending.done.set_exception(NotOwned(f"{pending.call.run} moved to another host, which waits for it"))
                continue
            if pending.cancelled:
                self._halt(pending, 0.0 if now > pending.halt_by - self._lost_after else self._lost_after)
                if not pending.worker:
                    await self._placing.recall(pending, "cancelled", STOPPED)
                    if pending.done.done():
                        continue
                if now > pending.halt_by:
                    self._give_up(pending, "cancelled", "stopped; its worker does not say how far it was")
                    continue
            if pending.worker:
                if not self.roster.alive(pending.worker) or self.roster.silent(pending.since):
                    self._lost(pending)
            elif pending.publishing:
                continue
            elif pending.sequence is None and pending.turn is None:
                self._placing.put(pending)
            elif pending.sequence is None:
                self._placing.publish(pending)
            else:
                await self._look_into_queue(pending, heads, now)

    async def _look_into_queue(self, pending: Pending, heads: dict[tuple[str, str], int | None], now: float) -> None:
        """Nobody has said that he has it: does it wait, or is it with somebody who is gone?"""
        call = pending.call
        if call.queued is not None and now - pending.began > call.queued:
            await self._placing.recall(pending, "timeout", f"nobody began within {call.queued} s")
        lane = pending.lane
        if lane not in heads:
            heads[lane] = await self._placing.head(pending, self.pending.values())
        head = heads[lane]
        if pending.sequence == 0:
            found = await queue.sequence(self._connection, pending.place) or 0
            pending.sequence = pending.sequence or found
        if pending.done.done() or pending.worker or pending.publishing:
            return  # somebody said so while we looked
        if head is not None and pending.sequence and head < pending.sequence:
            pending.since, pending.refused = now, 0
        elif self.roster.silent(pending.since) or head is None:
            if pending.effect_class == "irreversible" and pending.claimed:
                self._lost(pending)
            else:
                await self._placing.put_anew(pending)

    def _lost(self, pending: Pending) -> None:
        """Its worker is gone."""
        log.warning("worker %s is lost with %s of %s", pending.worker, pending.call.step, pending.call.run)
        if pending.effect_class == "irreversible" and pending.claimed:
            self._give_up(pending, "lost", f"worker {pending.worker} is lost")
            return
        if pending.cancelled:
            self._give_up(pending, "cancelled", f"worker {pending.worker} is lost")
            return
        self._placing.put(pending)

    def _give_up(self, pending: Pending, kind: str, why: str) -> None:
        if pending.effect_class != "irreversible" or not pending.claimed:
            pending.done.set_result(TaskResult(kind=kind, message=why, worker=pending.worker))
        else:
            self._close(pending)
            self._spawn(self._find_out(pending, why))

    async def _find_out(self, pending: Pending, why: str) -> None:
        """Ask the task's reconciler; without one, a person must say."""
        found = None
        try:
            found = await self._find(pending.call, pending.tenant)
        except Exception as error:
            why = f"{why}; reconciling failed: {type(error).__name__}: {error}"
        if pending.done.done():
            return
        if found is None:
            pending.done.set_exception(Unsure(why))
        elif found[0] == "succeeded":
            pending.done.set_result(found[1])
        else:
            pending.done.set_result(TaskResult(kind="error", message=str(found[1])))

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
