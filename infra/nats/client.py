"""The client of all actors, wherever they live: on this host when it owns the partition, else over the bus.

Gateway, ingress and spool speak to actors through it. A message keeps its id through every try, so trying again is
safe: the inbox gives a repetition the first answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from random import random

import msgspec

from actors.core.port import Actors, ActorView, Done
from events.address import PARTITIONS, partition_of, token
from events.bus import BusMessage
from events.cloudevents import CloudEvent, to_message
from events.envelope import Answer, Message
from events.errors import (
    BusUnavailable,
    DeadlineExceeded,
    NotFound,
    NotOwned,
    OutcomeUnknown,
    ThespisError,
    Unavailable,
)
from infra.nats import errors, operations
from infra.nats.messages import HOST, decode_answer, encode_message, subject_for
from infra.nats.wire import Wire

PATIENCE = 30.0
"""Seconds an ask without a deadline waits."""
SLOWEST = 0.25
"""Most seconds between two tries while nobody owns an actor: so much later is a new owner found."""
PER_TRY = 5.0
"""Seconds after which an unanswered request is sent again: its receiver may have died with it."""
WINDOW = 2048
"""Events of one publish that may be on their way at the same time."""

_AGAIN = (NotOwned, OutcomeUnknown, BusUnavailable)
_encode = msgspec.json.Encoder().encode
_view = msgspec.json.Decoder(ActorView).decode


def wall_clock() -> int:
    """Microseconds since 1970 (UTC)."""
    return time.time_ns() // 1000


class Client:
    """Asks, queries, publishes and operates. `actors` is the kernel of this process, if it runs one.

    `plane` is HOST among hosts; a client whom NATS does not let write there uses ASK.
    """

    def __init__(
        self,
        bus: Wire,
        actors: Actors | None = None,
        *,
        plane: str = HOST,
        now: Callable[[], int] = wall_clock,
    ) -> None:
        self.bus = bus
        self.actors = actors
        self.plane = plane
        self.now = now

    # -- messages

    def deliver(self, message: Message, done: Done, timeout: float = PATIENCE) -> None:
        """Have a message handled by whoever owns its actor; `done` gets what `Actors.deliver` would report.

        While nobody owns the partition, or the owner changes, it is tried again for `timeout` seconds. It may then
        still be handled; with the same id it is handled once.
        """
        _Try(self, message, done, timeout).begin()

    async def ask(self, message: Message) -> Answer:
        """Wait for the answer until `message.deadline`, or `PATIENCE`. Raises what `Actors.ask` raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def done(result: Answer | ThespisError) -> None:
            if future.done():
                return
            if isinstance(result, ThespisError):
                future.set_exception(result)
            else:
                future.set_result(result)

        timeout = PATIENCE if message.deadline is None else (message.deadline - self.now()) / 1_000_000
        if timeout <= 0:
            raise DeadlineExceeded(f"the deadline of {message.type} for {message.to} has passed")
        late = DeadlineExceeded(f"{message.to} did not answer {message.type} in time")
        attempt = _Try(self, message, done, timeout - 0.001)
        timer = loop.call_later(timeout, lambda: done(attempt.unsure or late))
        try:
            attempt.begin()
            return await future
        finally:
            timer.cancel()

    async def publish(self, events: Sequence[CloudEvent], tenant: str, principal: str) -> list[tuple[str, int]]:
        """Record events from outside; (id, position) of each, in order, after their commits.

        All are tried; if some fail the first error is raised, naming the index. Publishing them again is safe.
        """
        loop = asyncio.get_running_loop()
        results: list[Answer | ThespisError | None] = [None] * len(events)
        open_ = 0
        room = asyncio.Event()

        def done(index: int, result: Answer | ThespisError) -> None:
            nonlocal open_
            results[index] = result
            open_ -= 1
            room.set()

        deadline = loop.time() + PATIENCE
        for index, event in enumerate(events):
            while open_ >= WINDOW:
                room.clear()
                await room.wait()
            open_ += 1
            message = to_message(event, tenant, principal, self.now())
            self.deliver(message, partial(done, index), deadline - loop.time())
        while open_:
            room.clear()
            await room.wait()
        return [(event.id, _position(index, results[index])) for index, event in enumerate(events)]

    # -- questions and operators

    async def query(self, tenant: str, address: str, question: str, body: bytes, timeout: float = PATIENCE) -> bytes:
        """Ask the actor's `query` function; JSON in, JSON out."""
        arguments = operations.Query(question, msgspec.Raw(body or b"null"))
        return await self._operate("q", tenant, address, "query", arguments, timeout)

    async def view(self, tenant: str, address: str, at: int | None = None) -> ActorView:
        """The actor's committed state, now or at a version. Raises NotFound."""
        if self.actors is not None:
            return await self.actors.view(tenant, address, at)
        return _view(await self._operate("q", tenant, address, "view", operations.View(at)))

    async def summaries(self, tenant: str, addresses: Sequence[str], size: int = 120) -> dict[str, str]:
        """The states of several actors as JSON, cut off after `size` characters; none without a kernel here."""
        return {} if self.actors is None else await self.actors.summaries(tenant, addresses, size)

    async def park(self, tenant: str, address: str, by: str, reason: str) -> Answer:
        """Stop an actor until it is resumed."""
        return decode_answer(await self._operate("ctl", tenant, address, "park", operations.Park(by, reason)))

    async def resume(self, tenant: str, address: str, by: str, reason: str, skip: bool = False) -> Answer:
        """Let a parked actor go on."""
        arguments = operations.Resume(by, reason, skip)
        return decode_answer(await self._operate("ctl", tenant, address, "resume", arguments))

    async def fork(self, tenant: str, address: str, version: int, new: str, by: str) -> Answer:
        """Begin `new` as a continuation of `address` at `version`; the owner of `new` does it."""
        return decode_answer(await self._operate("ctl", tenant, new, "fork", operations.Fork(address, version, by)))

    async def resolve(
        self, tenant: str, effect: str, status: str, outcome: bytes | None, by: str, reason: str
    ) -> Answer:
        """Settle an unknown effect; of all hosts the one that owns its actor does it and answers."""
        arguments = operations.Resolve(effect, status, by, reason)
        if outcome:
            arguments.outcome = msgspec.Raw(outcome)
        return decode_answer(await self._operate("ctl", tenant, "", "resolve", arguments))

    async def _operate(
        self, plane: str, tenant: str, address: str, op: str, arguments: msgspec.Struct, timeout: float = PATIENCE
    ) -> bytes:
        """Here, or over the bus; again while nobody owns the actor. Only questions are repeated after silence."""
        subject = subject_for(plane, tenant, address) if address else f"{plane}.effects.{token(tenant)}"
        body = _encode(arguments)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        delay = 0.01
        again = (NotOwned, BusUnavailable, DeadlineExceeded) if plane == "q" else (NotOwned,)
        while True:
            try:
                actors = self.actors
                if actors is not None and (not address or partition_of(tenant, address) in actors.owned):
                    with suppress(NotOwned):
                        return await operations.perform(actors, tenant, address, op, body)
                remaining = max(0.01, deadline - loop.time())
                return await self._request(subject, body, op, min(PER_TRY, remaining) if plane == "q" else remaining)
            except again:
                if loop.time() + delay >= deadline:
                    raise
            await asyncio.sleep(delay * (0.5 + random()))
            delay = min(delay * 2, 0.5)

    async def _request(self, subject: str, body: bytes, op: str, timeout: float) -> bytes:
        try:
            reply = await self.bus.request(subject, body, {operations.OP: op}, timeout)
        except NotFound:
            raise _nobody() from None
        if error := errors.decode(reply.headers, reply.data):
            raise error
        return reply.data


class _Try:
    """One message on its way, tried until there is an answer or no time."""

    __slots__ = ("client", "deadline", "delay", "done", "message", "partition", "timeout", "unsure")

    def __init__(self, client: Client, message: Message, done: Done, timeout: float) -> None:
        self.client = client
        self.message = message
        self.done = done
        self.timeout = timeout
        self.deadline = 0.0
        self.delay = 0.01
        self.unsure: OutcomeUnknown | None = None
        """A try of which nobody knows whether it was handled: no later one that fails can say that it was not."""
        self.partition = partition_of(message.tenant, message.to)

    def begin(self) -> None:
        actors = self.client.actors
        if actors is not None and self.partition in actors.owned:
            actors.deliver(self.message, self.finish)
            return
        message = self.message
        remaining = self.until() - asyncio.get_running_loop().time()
        self.client.bus.call(
            subject_for(self.client.plane, message.tenant, message.to),
            message.body,
            encode_message(message),
            max(0.01, min(PER_TRY, remaining)),
            self.returned,
        )

    def until(self) -> float:
        """When to give up, by the clock of the loop; it begins to run with the first look at it."""
        if not self.deadline:
            self.deadline = asyncio.get_running_loop().time() + self.timeout
        return self.deadline

    def returned(self, reply: BusMessage | ThespisError) -> None:
        if isinstance(reply, NotFound):
            actors = self.client.actors
            away = actors.away if actors is not None else None
            self.finish(away or _nobody(self.partition))
        elif isinstance(reply, DeadlineExceeded):
            self.finish(OutcomeUnknown(reply.message))
        elif isinstance(reply, ThespisError):
            self.finish(reply)
        else:
            try:
                self.finish(errors.decode(reply.headers, reply.data) or decode_answer(reply.data))
            except ThespisError as error:
                self.done(error)

    def finish(self, result: Answer | ThespisError) -> None:
        if isinstance(result, OutcomeUnknown):
            self.unsure = result
        elif self.unsure is not None and isinstance(result, Unavailable) and not isinstance(result, _AGAIN):
            result = self.unsure
        if isinstance(result, _AGAIN):
            loop = asyncio.get_running_loop()
            if loop.time() + self.delay < self.until():
                loop.call_later(self.delay * (0.5 + random()), self.begin)
                self.delay = min(self.delay * 2, SLOWEST)
                return
        self.done(self.unsure if self.unsure is not None and isinstance(result, Unavailable) else result)


def _nobody(partition: int | None = None) -> NotOwned:
    which = "it" if partition is None else f"partition {partition} of {PARTITIONS}"
    return NotOwned(f"no host owns {which} at the moment", hint="is a host running?")


def _position(index: int, result: Answer | ThespisError | None) -> int:
    if isinstance(result, ThespisError):
        result.args = (f"event {index}: {result.message}",)
        raise result
    assert result is not None
    return result.position
