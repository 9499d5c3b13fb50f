"""The host: address → partition → actor; one message at a time per actor; everything a decision leads to in one commit.

The hot path is synchronous: deliver → run queue → decide → draft → group commit → verdict. There is no task and no
future per actor or message.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from actors.core.appender import Appender
from actors.core.cell import Cell, Work
from actors.core.control import Control
from actors.core.deciding import Vocabulary
from actors.core.effects import Effects
from actors.core.follower import Follower
from actors.core.hand import Hand, NoHand
from actors.core.handover import Handover
from actors.core.kind import Kind, Plugin
from actors.core.loader import Loader
from actors.core.mailroom import Mailroom
from actors.core.memory import Memory
from actors.core.ownership import Ownership
from actors.core.personal import Personal
from actors.core.port import ActorView, Done
from actors.core.router import Router
from actors.core.run_queue import RunQueue
from actors.core.sealing import Sealing, personal_types
from actors.core.sources import Sources
from actors.core.supervision import Supervision, parked
from actors.core.timers import Timers
from actors.core.verdicts import Verdicts
from actors.feed import feed
from events.address import partition_of, split
from events.envelope import Answer, Message
from events.errors import (
    BadDefinition,
    Busy,
    DeadlineExceeded,
    Forbidden,
    InvalidData,
    InvalidName,
    NotOwned,
    ThespisError,
    Unserved,
)
from events.ids import random_id
from events.registry import Registry
from events.store import (
    Append,
    Appended,
    EventStore,
    Mail,
    Status,
)
from events.subjects import Keyring
from events.system import SYSTEM_EVENTS

log = logging.getLogger("thespis.host")

_encode = msgspec.json.Encoder().encode


class Settings(msgspec.Struct, frozen=True):
    """Limits of one host. Times are in seconds."""

    lease_ttl: float = 2.0
    queue_limit: int = 10_000
    """Messages that may wait for one actor; outside senders beyond it get Busy, tells wait in the store."""
    host_limit: int = 100_000
    """Messages that may wait on this host altogether."""
    batch: int = 64
    """Messages one actor may decide into one append."""
    attempts: int = 3
    """Times a failing message is tried before its actor is parked."""
    backoff: float = 0.05
    deaths: int = 3
    """Deaths of a host with the same message in hand before its actor is parked."""
    actors_limit: int = 200_000
    """Actors kept in memory."""
    turn: float = 0.02
    """Seconds that actors may decide before everything else on the event loop gets its turn."""


RESERVED = frozenset(("effect", "host", "router", "system"))
"""First parts of addresses that the kernel uses itself."""


SPOOL = "system/spool"
"""Sender of the dead letters that the spool has recorded."""

_RESERVED_TYPES = frozenset(type_.__name__ for type_ in SYSTEM_EVENTS)


def wall_clock() -> int:
    """Microseconds since 1970 (UTC)."""
    return time.time_ns() // 1000


class Host:
    """Runs the actors of the partitions it owns. Implements `actors.core.port.Actors`.

    `listeners` are called after each commit with the batch and its outcome (relay, doorbell, projectors).
    """

    def __init__(
        self,
        store: EventStore,
        plugin: Plugin,
        *,
        host_id: str | None = None,
        now: Callable[[], int] = wall_clock,
        settings: Settings | None = None,
        hand: Hand | NoHand | None = None,
        info: bytes = b"{}",
        keyring: Keyring | None = None,
    ) -> None:
        self.store = store
        self.settings = settings or Settings()
        self.now = now
        self.id = host_id or random_id()
        self.kinds: dict[str, Kind] = {feed.name: feed}
        for kind in plugin.kinds:
            if kind.name in RESERVED or kind.name in self.kinds:
                raise BadDefinition(f"there is an actor kind {kind.name!r} already", hint="choose another name")
            self.kinds[kind.name] = kind
        self.registry = Registry(SYSTEM_EVENTS)
        self.words = Vocabulary({}, {kind.name: kind.effect_class for kind in plugin.effects})
        for kind in self.kinds.values():
            for type_ in kind.events:
                self.registry.add(type_)
            for type_ in kind.messages:
                self.words.messages[type_.struct] = (type_.name, type_.schema)
        for item in plugin.events:
            self.registry.add(item)
        self.words.sealing = self._sealing(plugin, keyring)
        self.cells: dict[str, dict[str, Cell]] = {}
        self.listeners: list[Callable[[Sequence[Append], Appended], None]] = []
        self.hand = hand or NoHand()
        self._stopping = False
        self.run_queue = RunQueue(self)
        self._room: asyncio.Future[None] | None = None
        self.appender = Appender(store, self._on_batch)
        self.sources = Sources(self)
        self.handover = Handover(self)
        self.mailroom = Mailroom(store, self.sources.take_mail, self._wait_for_room)
        self.timers = Timers(store, now, self.sources.fire)
        self.supervision = Supervision(self)
        self.ownership = Ownership(
            store,
            self.id,
            ttl=self.settings.lease_ttl,
            info=info,
            claimed=self.supervision.learn,
            gained=self.handover.gained,
            lost=self.handover.lost,
            given=self.handover.given,
        )
        effect_kinds = {kind.name: kind for kind in plugin.effects}
        self.effects = Effects(store, effect_kinds, self.ownership.owned, self.sources.settle, self.sources.record)
        self.effects.sealing = self.words.sealing
        self.memory = Memory(self)
        self.loader = Loader(store, self.memory.loaded, self.supervision.tell_outside, self.words.sealing)
        self.personal = Personal(self)
        self.verdicts = Verdicts(self)
        self.control = Control(self)
        self.routers = [Router(self, kind) for kind in self.kinds.values() if kind.subscribes]
        self.routers += [Follower(self, kind) for kind in self.kinds.values() if kind.follows is not None]

    def _sealing(self, plugin: Plugin, keyring: Keyring | None) -> Sealing | None:
        marked = personal_types(plugin)
        if not marked:
            return None
        if keyring is None:
            raise BadDefinition(
                f"{', '.join(sorted(marked))}: there are personal fields, and no keys to seal them with",
                hint="give the host a data directory (--data), or THESPIS_MASTER_KEY_FILE and THESPIS_ERASURES_FILE",
            )
        return Sealing(keyring, self.registry, marked)

    # -- life

    async def start(self) -> None:
        """Join, claim partitions, serve. Raises StoreUnavailable when the log is away."""
        await self.supervision.recall()
        self.appender.start()
        self.mailroom.start()
        self.timers.start()
        self.memory.start()
        for router in self.routers:
            router.start()
        await self.ownership.start()

    async def stop(self) -> None:
        """Hand over: finish what is in flight, give the partitions back, leave."""
        self._stopping = True
        for router in self.routers:
            await router.stop()
        await self.effects.stop()
        try:
            await self.ownership.stop()
        except ThespisError as error:
            log.warning("left without saying so: %s", error)
        await self.handover.remember()
        await self.timers.stop()
        await self.mailroom.stop()
        await self.loader.stop()
        await self.memory.stop()
        await self.appender.stop()

    # -- the port

    @property
    def owned(self) -> Mapping[int, int]:
        """The partitions this host serves now, with their epochs."""
        return self.ownership.owned

    @property
    def away(self) -> ThespisError | None:
        """See `Actors.away`."""
        return self.ownership.away

    @property
    def handled(self) -> int:
        """Messages handled here so far."""
        return self.verdicts.handled

    @property
    def waiting(self) -> int:
        """Messages waiting in memory."""
        return self.run_queue.waiting + self.supervision.resting

    def serves(self, kind: str) -> bool:
        """Whether actors of that kind run here."""
        return kind in self.kinds

    def doorbell(self, head: int, before: int | None = None, mail: int = -1) -> None:
        """See `Actors.doorbell`."""
        self.mailroom.doorbell(head, before, mail)
        for router in self.routers:
            router.wake()

    def deliver(self, message: Message, done: Done) -> None:
        """See `Actors.deliver`."""
        partition = partition_of(message.tenant, message.to)
        if partition not in self.ownership.owned or self._stopping:
            done(NotOwned(f"{message.to} belongs to partition {partition}, which this host does not own"))
            return
        try:
            cell = self.cell(message.tenant, message.to, partition)
        except InvalidName as error:
            done(error)
            return
        if cell is None:
            done(self._unserved(message.to))
            return
        if message.type in cell.kind.inner and not message.sender.startswith("worker:"):  # a late result, by its host
            done(Forbidden(f"{message.type} is sent to {cell.address} by other actors only", hint="ask one of them"))
            return
        if cell.kind is feed and (problem := self._not_a_fact(message)) is not None:
            done(problem)
            return
        if (cell.queue is not None and len(cell.queue) >= self.settings.queue_limit) or (
            self.run_queue.waiting >= self.settings.host_limit
        ):
            done(Busy(f"{message.to} has too many messages waiting", retry_after=0.5))
            return
        if cell.loaded and cell.parked is not None:
            done(parked(cell))
            return
        self.run_queue.enqueue(cell, Work(message, done))

    async def ask(self, message: Message) -> Answer:
        """See `Actors.ask`."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def done(result: Answer | ThespisError) -> None:
            if future.done():
                return
            if isinstance(result, ThespisError):
                future.set_exception(result)
            else:
                future.set_result(result)

        self.deliver(message, done)
        if message.deadline is None:
            return await future
        try:
            async with asyncio.timeout(max(0.0, (message.deadline - self.now()) / 1_000_000)):
                return await future
        except TimeoutError:
            raise DeadlineExceeded(f"{message.to} did not answer {message.type} in time") from None

    async def query(self, tenant: str, address: str, question: str, body: bytes) -> bytes:
        """See `Actors.query`."""
        return await self.control.query(tenant, address, question, body)

    async def view(self, tenant: str, address: str, at: int | None = None) -> ActorView:
        """See `Actors.view`."""
        return await self.control.view(tenant, address, at)

    async def summaries(self, tenant: str, addresses: Sequence[str], size: int = 120) -> dict[str, str]:
        """See `Actors.summaries`."""
        return await self.control.summaries(tenant, addresses, size)

    async def park(self, tenant: str, address: str, by: str, reason: str) -> Answer:
        """See `Actors.park`."""
        return await self.control.park(tenant, address, by, reason)

    async def resume(self, tenant: str, address: str, by: str, reason: str, skip: bool = False) -> Answer:
        """See `Actors.resume`."""
        return await self.control.resume(tenant, address, by, reason, skip)

    async def fork(self, tenant: str, address: str, version: int, new: str, by: str) -> Answer:
        """See `Actors.fork`."""
        return await self.control.fork(tenant, address, version, new, by)

    async def resolve(
        self, tenant: str, effect: str, status: str, outcome: bytes | None, by: str, reason: str
    ) -> Answer:
        """See `Actors.resolve`."""
        return await self.control.resolve(tenant, effect, status, outcome, by, reason)

    # -- cells

    def cell(self, tenant: str, address: str, partition: int) -> Cell | None:
        """The actor's place in memory, made if need be; None when its kind does not run here."""
        cells = self.cells.get(tenant)
        if cells is None:
            cells = self.cells[tenant] = {}
        cell = cells.get(address)
        if cell is None:
            kind = self.kinds.get(split(address)[0])
            if kind is None:
                return None
            cell = cells[address] = Cell(tenant, address, kind, partition)
        return cell

    def _on_batch(self, batch: Sequence[Append], appended: Appended) -> None:
        mails: list[Mail] = []
        for append, verdict in zip(batch, appended.verdicts, strict=True):
            if append.mail and verdict.status is Status.WRITTEN:
                for mail in append.mail:
                    mail.position = verdict.position
                mails += append.mail
        self.mailroom.committed(appended.before, appended.head, mails)
        if self._room is not None and self.run_queue.waiting < self.settings.host_limit // 2:
            self._room.set_result(None)
            self._room = None
        if self.routers:
            self._wake_routers(batch)
        for listener in self.listeners:
            listener(batch, appended)
        if self.handover.leaving:
            self.handover.check_idle()

    def _not_a_fact(self, message: Message) -> ThespisError | None:
        """Why an event from outside is not taken: it claims to be the kernel's, or does not fit its registered type."""
        if message.type in _RESERVED_TYPES and message.sender != SPOOL:
            return Forbidden(f"{message.type} is an event of the kernel", hint="choose another type")
        if message.type in self.registry:
            try:
                self.registry.decode(message.type, message.schema, message.body)
            except InvalidData as error:
                return error
        return None

    def _wake_routers(self, batch: Sequence[Append]) -> None:
        types = {event.type for append in batch for event in append.events}
        for router in self.routers:
            if not types.isdisjoint(router.types):
                router.wake()

    def _unserved(self, address: str) -> Unserved:
        kind = address.partition("/")[0]
        return Unserved(
            f"no actor kind {kind!r} runs here",
            hint=f"known kinds: {', '.join(sorted(self.kinds))}; give the workspace that defines it with --workspace",
        )

    def _wait_for_room(self) -> asyncio.Future[None] | None:
        if self.run_queue.waiting < self.settings.host_limit // 2:
            return None
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()
        return self._room
