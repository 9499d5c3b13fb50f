"""A worker: takes calls from queues, performs them, and reports until the result is in the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec

from actors.workflows.tasks import Task, TaskResult
from events.errors import BusUnavailable, ThespisError
from infra.nats import tasks as queue
from infra.nats.backoff import Backoff
from infra.nats.connection import Connection, Listening
from infra.nats.pull import Pull
from infra.tasks.effects import LOST_AGAIN
from infra.tasks.local import Executor, OutcomeUnknown
from infra.tasks.wire import (
    GONE,
    HALT,
    LATER,
    NEWS,
    OK,
    WHO,
    YES,
    Beat,
    Claim,
    Offer,
    Report,
    claim_subject,
    decode_halt,
    decode_offer,
    encode,
    report_subject,
)

log = logging.getLogger("thespis.worker")

DISCOVER: Final = 5.0
"""Seconds between two looks for new sets of labels."""
PER_TRY: Final = 5.0
"""Seconds an owner may take to answer."""
EXPIRES: Final = 6.0
"""Seconds a request for calls is good for: so long may a stopped worker still be handed some."""
STALE: Final = 3.0
"""Seconds without a turn of the loop (stopped, or the machine asleep) after which nothing is taken for granted."""


class Held:
    """A call in hand, until its result is in the log."""

    __slots__ = ("begun", "dropped", "offer", "performed", "pull", "reply", "turn")

    def __init__(self, offer: Offer, reply: bytes, pull: Pull) -> None:
        self.offer = offer
        self.turn = offer.turn
        self.reply = reply
        self.pull = pull
        self.begun = False
        self.performed = False
        self.dropped = False


class Worker:
    """Serves `queues` with what `executor` knows; `labels` are what this machine has."""

    def __init__(
        self,
        connection: Connection,
        executor: Executor,
        queues: Collection[str],
        *,
        labels: Mapping[str, str] | None = None,
        concurrency: int = 4,
        id: str,
        beat: float = 1.0,
    ) -> None:
        self.id = id
        self._connection = connection
        self._executor = executor
        self._queues = list(queues)
        self._labels = dict(labels or {})
        tasks: list[Task] = list(executor.catalogue)
        self._tasks_known = [task.id for task in tasks] + sorted({f"+{c}" for task in tasks for c in task.provides})
        self._concurrency = concurrency
        self._beat = beat
        self._pulls: dict[tuple[str, str], Pull] = {}
        self._held: dict[str, Held] = {}
        self._unpaid: list[Pull] = []
        """Pulls that may take one more once enough results are reported."""
        self._listening: list[Listening] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._turned = 0.0
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self.reported = 0
        """Results that are in the log."""

    @property
    def holding(self) -> int:
        """Calls in hand."""
        return len(self._held)

    async def start(self) -> None:
        """Begin to take calls."""
        self._turned = self._loop.time()
        listen = self._connection.listen
        self._listening = [
            await listen(HALT, self._on_halt),
            await listen(WHO, self._on_who),
            await listen(NEWS, self._on_news),
        ]
        self._connection.on_reconnect.append(self._say_alive)
        self._spawn(self._live())
        self._spawn(self._discover())

    async def stop(self, grace: float = 30.0) -> None:
        """Take no more, let what is under way finish and be reported within `grace` seconds, and leave the rest."""
        self._stopping = True
        for pull in self._pulls.values():
            await pull.stop(0.0)
        for held in list(self._held.values()):
            if not held.begun:
                self._drop(held)
                self._write(held.reply, b"-NAK")
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()
        for task in [*self._calls, *self._tasks]:
            task.cancel()
        await asyncio.gather(*self._calls, *self._tasks, return_exceptions=True)
        with suppress(ValueError):
            self._connection.on_reconnect.remove(self._say_alive)
        self._send_beat(leaving=True)
        for listening in self._listening:
            await listening.stop()

    # -- queues

    async def _discover(self) -> None:
        backoff = Backoff(0.1, 5.0)
        while True:
            self._news.clear()
            try:
                await self._look()
                backoff.reset()
            except ThespisError as error:
                log.info("looking for queues: %s", error)
                await backoff.wait()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(DISCOVER):
                    await self._news.wait()

    async def _look(self) -> None:
        """Serve every set of labels that we have, of the queues that are ours."""
        await queue.ensure_tasks(self._connection)
        wanted: list[tuple[str, dict[str, str]]] = [(name, {}) for name in self._queues]
        wanted += [found for found in await queue.queues(self._connection) if found[0] in self._queues]
        for name, labels in wanted:
            key = (name, queue.labels_token(labels))
            if key in self._pulls or not labels.items() <= self._labels.items():
                continue
            pull = Pull(
                self._connection, queue.TASKS, queue.consumer_name(name, labels),
                partial(self._ensure, name, labels), partial(self._take, key), limit=self._concurrency,
                expires=EXPIRES,
            )  # fmt: skip
            self._pulls[key] = pull
            await pull.start()

    async def _ensure(self, name: str, labels: dict[str, str]) -> None:
        await queue.ensure_tasks(self._connection)
        await queue.ensure_queue(self._connection, name, labels)

    # -- calls

    def _take(self, key: tuple[str, str], subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        pull = self._pulls[key]
        try:
            offer = decode_offer(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.error("%s cannot be read: %s", subject.decode(errors="replace"), error)
            self._write(reply, b"+TERM")
            pull.finished()
            return
        known = self._held.get(offer.effect)
        if known is not None and not known.dropped:  # handed out again, because we were silent for too long
            known.turn = offer.turn
            self._write(reply, b"+ACK")
            pull.finished()
        elif known is not None or self._stopping or not self._executor.knows(offer.call.task):
            self._write(reply, b'-NAK {"delay":1000000000}')
            pull.finished()
        else:
            held = self._held[offer.effect] = Held(offer, reply, pull)
            self._idle.clear()
            task = self._loop.create_task(self._perform(held))
            self._calls.add(task)
            task.add_done_callback(partial(self._over, held))

    async def _perform(self, held: Held) -> None:
        offer = held.offer
        try:
            result = await self._executor.perform(offer.call, offer.tenant, partial(self._may_begin, held))
            for _ in range(LOST_AGAIN):
                if result.kind == "lost" and not held.dropped:
                    result = await self._executor.perform(offer.call, offer.tenant)
            report = Report(offer.effect, offer.tenant, held.turn, self.id, result)
        except OutcomeUnknown as error:
            lost = TaskResult(kind="unknown", message=str(error), worker=self.id)
            report = Report(offer.effect, offer.tenant, held.turn, self.id, lost, str(error) or "nobody knows")
        self._performed(held)
        if not held.dropped:
            if not held.begun:  # stopped, or out of time, before its turn came
                self._write(held.reply, b"+ACK")
            await self._report(held, report)

    def _performed(self, held: Held) -> None:
        """Its slot is free; another call is taken, unless too many results wait to be reported."""
        if held.performed:
            return
        held.performed = True
        self._unpaid.append(held.pull)
        waiting = sum(1 for other in self._held.values() if other.performed) if len(self._held) > 64 else 0
        if waiting <= 64 + 8 * self._concurrency:
            for pull in self._unpaid:
                pull.finished()
            self._unpaid.clear()

    def _over(self, held: Held, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._performed(held)
        if self._held.get(held.offer.effect) is held:
            del self._held[held.offer.effect]
        if not self._held:
            self._idle.set()
            for pull in self._unpaid:
                pull.finished()
            self._unpaid.clear()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("call %s of %s went wrong", held.offer.call.step, held.offer.call.run, exc_info=error)

    def _drop(self, held: Held) -> None:
        """Not begun, and not ours any more: somebody else does it."""
        held.dropped = True
        call = held.offer.call
        self._executor.cancel(held.offer.tenant, call.run, call.step, call.attempt, 0.0)

    # -- leave to begin

    async def _may_begin(self, held: Held) -> bool:
        """Asked when there is a slot: from here on the call is not in the queue any more. What is irreversible begins
        once the owner of the run has said yes, and the queue has confirmed; after that nobody else can.
        """
        if held.dropped or (held.offer.effect_class != "irreversible" and self._stale()):
            held.dropped = True
            return False
        if held.offer.effect_class == "irreversible":
            while True:
                since = self._loop.time()
                answer = await self._claim(held)
                if answer != YES:
                    held.dropped = True
                    if answer == GONE:
                        self._write(held.reply, b"+ACK")
                    return False
                with suppress(ThespisError):
                    await self._connection.request(held.reply.decode(), b"+ACK", timeout=PER_TRY)
                    if self._loop.time() - since < STALE:
                        break
        else:
            self._write(held.reply, b"+ACK")
        held.begun = True
        return True

    async def _claim(self, held: Held) -> bytes:
        backoff = Backoff(0.05, 1.0)
        offer = held.offer
        while not held.dropped:
            with suppress(ThespisError):
                claim = encode(Claim(offer.effect, held.turn, self.id))
                _, answer = await self._connection.request(claim_subject(offer.partition), claim, timeout=PER_TRY)
                if answer != LATER:
                    return answer
            await backoff.wait()
        return b""

    def _stale(self) -> bool:
        return self._loop.time() - self._turned > max(STALE, 3 * self._beat)

    # -- results

    async def _report(self, held: Held, report: Report) -> None:
        """Until the owner of the run has it in the log, however long that takes."""
        backoff = Backoff(0.05, 1.0)
        subject = report_subject(held.offer.partition)
        while True:
            try:
                body = encode(msgspec.structs.replace(report, turn=held.turn))
                _, answer = await self._connection.request(subject, body, timeout=PER_TRY)
                if answer == OK:
                    self.reported += 1
                    return
            except BusUnavailable:
                await self._connection.up()
            except ThespisError as error:
                log.debug("%s of %s is not reported yet: %s", report.effect, held.offer.call.run, error)
            await backoff.wait()

    # -- stopping

    def _on_halt(self, subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        halt = decode_halt(data)
        if halt.effect in self._held:
            self._executor.cancel(halt.tenant, halt.run, halt.step, halt.attempt, halt.grace)

    def _on_who(self, subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        self._say_alive()

    def _on_news(self, subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        self._news.set()

    # -- signs of life

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(self._beat)
            if self._stale():
                for held in list(self._held.values()):
                    if not held.begun:
                        self._drop(held)
            self._turned = self._loop.time()
            self._send_beat()
            for held in self._held.values():
                if not held.begun and not held.dropped:
                    self._write(held.reply, b"+WPI")

    def _say_alive(self) -> None:
        if not self._stale():
            self._send_beat()

    def _send_beat(self, leaving: bool = False) -> None:
        holding = {effect: held.turn for effect, held in self._held.items() if not held.dropped}
        beat = Beat(
            self.id, {} if leaving else holding, self._queues, self._tasks_known, self._labels,
            self._concurrency, leaving,
        )  # fmt: skip
        with suppress(ThespisError):
            self._connection.send(f"hb.task.{self.id}", encode(beat))

    def _write(self, reply: bytes, what: bytes) -> None:
        with suppress(ThespisError):
            self._connection.write(b"PUB %b %d\r\n%b\r\n" % (reply, len(what), what))

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
