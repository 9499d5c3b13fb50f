"""A host's calls in the queue: put there, looked for, taken out again.

A publication that failed may have arrived: a call has a subject of its own, and is published only if nothing is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

import msgspec

from actors.workflows.tasks import TaskResult
from events.errors import ThespisError
from infra.nats import tasks as queue
from infra.nats.backoff import Backoff
from infra.nats.connection import Connection
from infra.tasks.pending import Pending
from infra.tasks.wire import NEWS, Offer, encode

log = logging.getLogger("thespis.tasks")

FORGOTTEN = 3
"""Refused publications after which the queue has forgotten to hand a call out again: it is put in anew."""


class Placing:
    """The queue, to one host. Where a call is in it is noted in the call (`Pending.sequence`)."""

    def __init__(self, connection: Connection, replicas: int) -> None:
        self._connection = connection
        self._replicas = replicas
        self._loop = asyncio.get_running_loop()
        self._turns = count(1)
        self._ensured: dict[tuple[str, str], asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Publish nothing any more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def put(self, pending: Pending, first: str = "again") -> None:
        """Hand it out under a new turn: what its turns begin with, or else `first`, and a count."""
        begun = pending.turn.partition("/")[0] if pending.turn else first
        pending.turn = f"{begun}/{next(self._turns)}"
        self.publish(pending)

    def publish(self, pending: Pending) -> None:
        """Put it into the queue under the turn it has; the queue is made if it is not there."""
        pending.publishing = True
        pending.worker = ""
        pending.claimed = False
        ready = self._ensured.get(pending.lane)
        if ready is not None and ready.done():
            self._publish(pending)
            return
        if ready is None:
            ready = self._ensured[pending.lane] = self._loop.create_future()
            task = self._loop.create_task(self._ensure(pending, ready))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        ready.add_done_callback(lambda done: self._publish(pending) if not done.cancelled() else self._failed(pending))

    async def put_anew(self, pending: Pending) -> None:
        """It was lost, with the queue or with whoever took it and is gone. If it is still there, it is not doubled."""
        self._ensured.pop(pending.lane, None)
        if pending.refused >= FORGOTTEN:
            pending.refused = 0
            await queue.withdraw(self._connection, pending.place)
        self.put(pending)

    async def find(self, pending: Pending) -> int | None:
        """Its place in the queue. While there is no bus there is no answer."""
        backoff = Backoff(0.1, 2.0)
        while True:
            try:
                return await queue.sequence(self._connection, pending.place)
            except ThespisError:
                await backoff.wait()

    async def recall(self, pending: Pending, kind: str, message: str) -> None:
        """Take it out of the queue, if nobody took it: that is its result then."""
        with suppress(ThespisError):
            if await queue.withdraw(self._connection, pending.place) and not pending.done.done():
                pending.done.set_result(TaskResult(kind=kind, message=message))

    async def head(self, pending: Pending, others: Iterable[Pending]) -> int | None:
        """How far its lane was handed to workers. If the newest call there is lost, all of the lane are in doubt."""
        head = await queue.delivered(self._connection, pending.queue, pending.call.labels)
        waiting = [p for p in others if p.sequence and p.lane == pending.lane]
        newest = max(waiting, key=lambda p: p.sequence or 0, default=None)
        if newest is None or head is None or head >= (newest.sequence or 0):
            return head
        if await queue.sequence(self._connection, newest.place) != newest.sequence:
            doubt(p for p in others if p.lane == pending.lane)
        return head

    async def _ensure(self, pending: Pending, ready: asyncio.Future[None]) -> None:
        try:
            await queue.ensure_tasks(self._connection, self._replicas)
            await queue.ensure_queue(self._connection, pending.queue, pending.call.labels)
            with suppress(ThespisError):
                self._connection.send(NEWS, b"")
            ready.set_result(None)
        except ThespisError as error:
            log.info("the queue %s is not there: %s", pending.queue, error)
            self._ensured.pop(pending.lane, None)
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
        self._ensured.pop(pending.lane, None)


def doubt(calls: Iterable[Pending]) -> None:
    """The stream may be another than the one they were published to: where they are is to be looked up."""
    for pending in calls:
        if pending.sequence:
            pending.sequence = 0
