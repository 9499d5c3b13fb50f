"""The host's side of the work queue: hands calls out, knows who has them, takes their results.

The ledger of effects is the truth. What is handed out is remembered here while this host owns the run; whoever owns it
next learns from the workers' signs of life, and from the queue, what is still under way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

import msgspec

from actors.core.kind import Attempt
from actors.workflows.tasks import CancelCall, TaskCall, TaskResult
from events.address import partition_of
from events.errors import NotOwned, ThespisError
from infra.nats import tasks as queue
from infra.nats.backoff import Backoff
from infra.nats.connection import Connection
from infra.tasks.roster import Roster
from infra.tasks.wire import HALT, NEWS, Beat, Halt, Offer, encode

log = logging.getLogger("thespis.tasks")

LOST_AFTER = 10.0
"""Seconds without a sign of life after which a worker is lost."""

FORGOTTEN = 3
"""Refused publications after which the queue has forgotten to hand a call out again: it is put in anew."""

Find = Callable[[TaskCall, str], Awaitable["tuple[str, Any] | None"]]
"""Asks a task's own reconciler."""


class Unsure(OSError):
    """Nobody knows what became of an irreversible call. The kernel records it as unknown."""


Owned = Collection[int]
"""The partitions served here, now."""


class Pending:
    """A call that is out."""

    __slots__ = (
        "began",
        "call",
        "cancelled",
        "claimed",
        "done",
        "effect",
        "effect_class",
        "halt_by",
        "partition",
        "place",
        "publishing",
        "queue",
        "refused",
        "sequence",
        "since",
        "tenant",
        "turn",
        "worker",
    )  # fmt: skip

    def __init__(self, call: TaskCall, attempt: Attempt, effect_class: str, place: str, name: str, now: float) -> None:
        self.call = call
        self.effect = attempt.effect
        self.effect_class = effect_class
        self.tenant = attempt.tenant
        self.partition = partition_of(attempt.tenant, attempt.actor)
        self.place = place
        self.queue = name
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.turn: str | None = None
        """None: handed out by an owner before us; the first turn we hear of is it."""
        self.worker = ""
        self.claimed = False
        self.sequence: int | None = None
        """Its place in the stream; 0: it is there, we do not know where; None: it is not."""
        self.publishing = False
        self.began = now
        self.since = now
        """Since when it is certain to be in the queue or with a worker."""
        self.refused = 0
        """Publications in a row that were refused because it is in the queue, though nobody takes it."""
        self.cancelled = False
        self.halt_by = 0.0


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
        self._replicas = replicas
        self._tick = tick
        self._loop = asyncio.get_running_loop()
        self._turns = count(1)
        self._ensured: dict[tuple[str, str], asyncio.Future[None]] = {}
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
        if (grace := self._early.get(self._name(pending))) is not None:
            # It was stopped, in the time of an owner before us perhaps: nobody is to begin it any more.
            pending.sequence = None if attached else await self._found(pending)
            if not pending.worker and pending.sequence is None:
                self._close(pending)
                return TaskResult(kind="cancelled", message="stopped before anybody began")
            await self._stop(pending, grace)
        elif not attached:
            pending.turn = f"{attempt.number}/{next(self._turns)}"
            self._hand_out(pending)
        return await self._wait(pending)

    async def attach(self, call: TaskCall, attempt: Attempt, name: str) -> tuple[str, Any] | None:
        """Wait for an irreversible call that an owner before us handed out: a worker has it, or it is not begun."""
        await self.roster.ready()
        pending = self._open(call, attempt, "irreversible", name)
        if self._attached(pending):
            pending.claimed = True  # perhaps not yet, but who knows
        else:
            pending.sequence = await self._found(pending)
        if not pending.worker and pending.sequence is None:
            self._close(pending)
            return None
        if (grace := self._early.get(self._name(pending))) is not None:
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
            await self._recall(pending, TaskResult(kind="cancelled", message="stopped before anybody began"))

    async def _found(self, pending: Pending) -> int | None:
        """Its place in the queue. While there is no bus there is no answer."""
        backoff = Backoff(0.1, 2.0)
        while True:
            try:
                return await queue.sequence(self._connection, pending.place)
            except ThespisError:
                await backoff.wait()

    def _open(self, call: TaskCall, attempt: Attempt, effect_class: str, name: str) -> Pending:
        place = queue.subject(name, attempt.tenant, call.labels, attempt.effect)
        pending = Pending(call, attempt, effect_class, place, name, self._loop.time())
        self.pending[attempt.effect] = pending
        self._by_step[self._name(pending)] = pending
        return pending

    @staticmethod
    def _name(pending: Pending) -> tuple[str, str, str, int]:
        return pending.tenant, pending.call.run, pending.call.step, pending.call.attempt

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
        name = self._name(pending)
        self._early.pop(name, None)
        if self._by_step.get(name) is pending:
            del self._by_step[name]

    # -- into the queue

    def _hand_out(self, pending: Pending) -> None:
        pending.publishing = True
        pending.worker = ""
        pending.claimed = False
        key = (pending.queue, queue.labels_token(pending.call.labels))
        ready = self._ensured.get(key)
        if ready is not None and ready.done():
            self._publish(pending)
            return
        if ready is None:
            ready = self._ensured[key] = self._loop.create_future()
            self._spawn(self._ensure(key, pending, ready))
        ready.add_done_callback(lambda done: self._publish(pending) if not done.cancelled() else self._failed(pending))

    async def _ensure(self, key: tuple[str, str], pending: Pending, ready: asyncio.Future[None]) -> None:
        try:
            await queue.ensure_tasks(self._connection, self._replicas)
            await queue.ensure_queue(self._connection, pending.queue, pending.call.labels)
            with suppress(ThespisError):
                self._connection.send(NEWS, b"")
            ready.set_result(None)
        except ThespisError as error:
            log.info("the queue %s is not there: %s", pending.queue, error)
            self._ensured.pop(key, None)
            ready.cancel()

    def _publish(self, pending: Pending) -> None:
        assert pending.turn is not None
        offer = Offer(
            pending.effect, pending.tenant, pending.partition, pending.effect_class, pending.turn, pending.call
        )
        self._connection.call(
            pending.place, encode(offer), queue.FIRST_OF_ITS_SUBJECT, 5.0,
            partial(self._published, pending), partial(self._failed, pending),
        )  # fmt: skip

    def _published(self, pending: Pending, _head: bytes, data: bytes) -> None:
        answer: dict[str, Any] = msgspec.json.decode(data)
        error: dict[str, Any] | None = answer.get("error")
        pending.since = self._loop.time()
        if error is None:
            pending.publishing = False
            pending.sequence = int(answer["seq"])
        elif error.get("err_code") in queue.WRONG_LAST:
            pending.publishing = False
            pending.sequence = 0
            pending.refused += 1
            if pending.turn is not None and not pending.worker:
                pending.turn = None
        else:
            log.info("%s cannot be handed out: %s", pending.place, error.get("description"))
            self._failed(pending)

    def _failed(self, pending: Pending, _error: object = None) -> None:
        """Not published, or nobody knows: tried again by and by."""
        pending.publishing = False
        pending.sequence = None
        self._ensured.pop((pending.queue, queue.labels_token(pending.call.labels)), None)

    async def _recall(self, pending: Pending, result: TaskResult) -> None:
        """Take it out of the queue, if nobody took it."""
        with suppress(ThespisError):
            if await queue.withdraw(self._connection, pending.place) and not pending.done.done():
                pending.done.set_result(result)

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

    def _doubt(self, key: tuple[str, str] | None = None) -> None:
        """The stream may be another than the one that was published to (of one queue, or all): look where calls are."""
        for pending in self.pending.values():
            if pending.sequence and key in (None, (pending.queue, queue.labels_token(pending.call.labels))):
                pending.sequence = 0

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
                    await self._recall(pending, TaskResult(kind="cancelled", message="stopped before anybody began"))
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
            elif pending.sequence is None:
                pending.turn = pending.turn or f"again/{next(self._turns)}"
                self._hand_out(pending)
            else:
                await self._look_into_queue(pending, heads, now)

    async def _look_into_queue(self, pending: Pending, heads: dict[tuple[str, str], int | None], now: float) -> None:
        """Nobody has said that he has it: does it wait, or is it with somebody who is gone?"""
        call = pending.call
        if call.queued is not None and now - pending.began > call.queued:
            await self._recall(pending, TaskResult(kind="timeout", message=f"nobody began within {call.queued} s"))
        key = (pending.queue, queue.labels_token(call.labels))
        if key not in heads:
            heads[key] = await self._head(key, call.labels)
        head = heads[key]
        if pending.sequence == 0:
            found = await queue.sequence(self._connection, pending.place) or 0
            pending.sequence = pending.sequence or found
        if pending.done.done() or pending.worker or pending.publishing:
            return  # somebody said so while we looked
        if head is not None and pending.sequence and head < pending.sequence:
            pending.since, pending.refused = now, 0
        elif self.roster.silent(pending.since) or head is None:
            # With whoever took it and is gone, or lost with the stream. If it is still there, it is not doubled.
            if pending.effect_class == "irreversible" and pending.claimed:
                self._lost(pending)
                return
            self._ensured.pop(key, None)
            if pending.refused >= FORGOTTEN:
                pending.refused = 0
                await queue.withdraw(self._connection, pending.place)
            pending.turn = f"{(pending.turn or 'again').partition('/')[0]}/{next(self._turns)}"
            self._hand_out(pending)

    async def _head(self, key: tuple[str, str], labels: queue.Labels) -> int | None:
        """How far the queue was handed to workers. If its newest call is not there, no sequence number is believed."""
        head = await queue.delivered(self._connection, key[0], labels)
        waiting = [
            p for p in self.pending.values() if p.sequence and (p.queue, queue.labels_token(p.call.labels)) == key
        ]
        newest = max(waiting, key=lambda p: p.sequence or 0, default=None)
        if newest is None or head is None or head >= (newest.sequence or 0):
            return head
        if await queue.sequence(self._connection, newest.place) != newest.sequence:
            self._doubt(key)
        return head

    def _lost(self, pending: Pending) -> None:
        """Its worker is gone."""
        log.warning("worker %s is lost with %s of %s", pending.worker, pending.call.step, pending.call.run)
        if pending.effect_class == "irreversible" and pending.claimed:
            self._give_up(pending, "lost", f"worker {pending.worker} is lost")
            return
        if pending.cancelled:
            self._give_up(pending, "cancelled", f"worker {pending.worker} is lost")
            return
        pending.turn = f"{(pending.turn or 'again').partition('/')[0]}/{next(self._turns)}"
        self._hand_out(pending)

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
