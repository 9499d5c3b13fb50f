"""The serving side of asks, questions and operator commands, for the partitions this host owns.

`host.`, `ask.`, `q.` and `ctl.<partition>.…` are subscribed while the partition is owned, so that a request nobody can
serve is answered at once by the broker ("no responders"), and the client looks again. What comes by `host.` is refused
when the partition is moving; what comes by `ask.`, from clients in any language, is handed to whoever owns it then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from urllib.parse import unquote

from actors.core.port import Actors, Done
from events.address import check_tenant
from events.bus import BusMessage, Subscription
from events.envelope import Answer, Message
from events.errors import BusUnavailable, Corrupt, DeadlineExceeded, Forbidden, NotOwned, ThespisError, UnknownType
from infra.nats import errors, operations
from infra.nats.client import PATIENCE, Client, wall_clock
from infra.nats.messages import ASK, HOST, decode_ask, decode_message, encode_answer, target_of
from infra.nats.wire import Wire

log = logging.getLogger("thespis.nats")


Decode = Callable[[str, Mapping[str, str], bytes, int], Message]
Deliver = Callable[[Message, Done], None]


class Asks:
    """Serves what this host owns. `refresh` may be called when ownership changed; it is looked at regularly too."""

    def __init__(
        self, bus: Wire, actors: Actors, *, now: Callable[[], int] = wall_clock, interval: float = 0.05
    ) -> None:
        self._bus = bus
        self._actors = actors
        self._client = Client(bus, actors, now=now)
        self._now = now
        self._interval = interval
        self._serving: dict[int, list[Subscription]] = {}
        self._broadcast: Subscription | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def serving(self) -> frozenset[int]:
        """The partitions requests are taken for."""
        return frozenset(self._serving)

    async def start(self) -> None:
        """Subscribe, and follow the ownership."""
        self._broadcast = await self._bus.listen("ctl.effects.*", self._on_effect)
        await self.refresh()
        with suppress(BusUnavailable):  # subscriptions are made again after a reconnect
            await self._bus.settled()
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Stop taking requests; those taken are still answered."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        for partition in list(self._serving):
            await self._drop(partition)
        if self._broadcast is not None:
            await self._broadcast.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def refresh(self) -> None:
        """Subscribe to what is owned, unsubscribe from what is not."""
        owned = self._actors.owned
        for partition in [p for p in self._serving if p not in owned]:
            await self._drop(partition)
        for partition in [p for p in owned if p not in self._serving]:
            self._serving[partition] = [
                await self._bus.listen(
                    f"{HOST}.{partition}.>", partial(self._on_message, decode_message, self._deliver_here)
                ),
                await self._bus.listen(
                    f"{ASK}.{partition}.>", partial(self._on_message, decode_ask, self._deliver_anywhere)
                ),
                await self._bus.listen(f"q.{partition}.>", self._on_operation),
                await self._bus.listen(f"ctl.{partition}.>", self._on_operation),
            ]

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            if self._actors.owned.keys() != self._serving.keys():
                try:
                    await self.refresh()
                except ThespisError as error:
                    log.debug("subscriptions wait: %s", error)
                except Exception:
                    log.exception("subscriptions wait")

    async def _drop(self, partition: int) -> None:
        for subscription in self._serving.pop(partition):
            with suppress(BusUnavailable):
                await subscription.stop()

    # -- requests

    def _on_message(self, decode: Decode, deliver: Deliver, request: BusMessage) -> None:
        try:
            now = self._now()
            message = decode(request.subject, request.headers, request.data, now)
            if message.deadline is not None and message.deadline < now:
                raise DeadlineExceeded(f"the deadline of {message.type} for {message.to} has passed")
        except ThespisError as error:
            self._refuse(request.reply, error)
            return
        deliver(message, partial(self._answer, request.reply))

    def _deliver_here(self, message: Message, done: Done) -> None:
        self._actors.deliver(message, done)

    def _deliver_anywhere(self, message: Message, done: Done) -> None:
        self._actors.deliver(message, partial(self._or_there, message, done))

    def _or_there(self, message: Message, done: Done, result: Answer | ThespisError) -> None:
        """It moved just now: let whoever owns it answer."""
        if not isinstance(result, NotOwned):
            done(result)
        elif message.deadline is None:
            self._client.deliver(message, done)
        else:
            self._client.deliver(message, done, min((message.deadline - self._now()) / 1_000_000, PATIENCE))

    def _answer(self, reply: str, result: Answer | ThespisError) -> None:
        if isinstance(result, ThespisError):
            self._refuse(reply, result)
        else:
            self._send(reply, encode_answer(result), None)

    def _refuse(self, reply: str, error: ThespisError) -> None:
        self._send(reply, *errors.encode(error))

    def _send(self, reply: str, body: bytes, headers: dict[str, str] | None) -> None:
        if reply:
            try:
                self._bus.send(reply, body, headers)
            except ThespisError as error:
                log.debug("a reply is lost: %s", error)

    def _on_operation(self, request: BusMessage) -> None:
        try:
            tenant, address = target_of(request.subject)
        except ThespisError as error:
            self._refuse(request.reply, error)
            return
        op = request.headers.get(operations.OP, "")
        if request.subject.startswith("q.") and op not in operations.READS and op in operations.OPERATIONS:
            self._refuse(request.reply, Forbidden(f"{op} is not for clients", hint="over HTTP, with the scope admin"))
            return
        self._begin(request, tenant, address, silent=False)

    def _on_effect(self, request: BusMessage) -> None:
        if request.headers.get(operations.OP) == "resolve":
            with suppress(ThespisError):
                self._begin(request, check_tenant(unquote(request.subject.split(".")[2])), "", silent=True)
        else:
            self._refuse(request.reply, UnknownType("effects can be resolved, nothing else"))

    def _begin(self, request: BusMessage, tenant: str, address: str, silent: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._perform(request, tenant, address, silent))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, request: BusMessage, tenant: str, address: str, silent: bool) -> None:
        op = request.headers.get(operations.OP, "")
        try:
            self._send(request.reply, await operations.perform(self._actors, tenant, address, op, request.data), None)
        except NotOwned as error:
            if not silent:  # another host owns the effect and answers
                self._refuse(request.reply, error)
        except ThespisError as error:
            self._refuse(request.reply, error)
        except Exception as error:
            log.exception("%s of %s failed", op, address)
            self._refuse(request.reply, Corrupt(f"{op} failed: {error!r}"))
