"""The host: address → partition → actor; one message at a time per actor; everything a decision leads to in one commit.

The hot path is synchronous: deliver → run queue → decide → draft → group commit → verdict. There is no task and no
future per actor or message.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from actors.core.appender import Appender
from actors.core.cell import Cell, Work
from actors.core.control import Control
from actors.core.draft import Draft, Vocabulary, answer_of, decide_into
from actors.core.effects import Effects, outcome_id
from actors.core.fold import Folded
from actors.core.hand import Hand, NoHand
from actors.core.kind import Kind, Plugin
from actors.core.loader import Loader
from actors.core.mailroom import Mailroom
from actors.core.memory import Memory
from actors.core.outputs import Outcome
from actors.core.ownership import Ownership
from actors.core.port import ActorView, Done
from actors.core.router import Router
from actors.core.timers import Timers
from actors.feed import feed
from events.address import partition_of, split
from events.envelope import Answer, Message
from events.errors import (
    Busy,
    DeadlineExceeded,
    KeyReused,
    NotOwned,
    Parked,
    ThespisError,
    Unserved,
)
from events.ids import random_id
from events.registry import Registry
from events.store import (
    Append,
    Appended,
    Effect,
    EffectChange,
    EventStore,
    Loaded,
    Mail,
    MailKey,
    Status,
    Timer,
    Verdict,
)
from events.system import SYSTEM_EVENTS, ActorParked, ActorResumed

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
    ) -> None:
        self.store = store
        self.settings = settings or Settings()
        self.now = now
        self.id = host_id or random_id()
        self.kinds: dict[str, Kind] = {feed.name: feed} | {kind.name: kind for kind in plugin.kinds}
        self.registry = Registry(SYSTEM_EVENTS)
        self.words = Vocabulary({}, {kind.name: kind.effect_class for kind in plugin.effects})
        for kind in self.kinds.values():
            for type_ in kind.events:
                self.registry.add(type_)
            for type_ in kind.messages:
                self.words.messages[type_.struct] = (type_.name, type_.schema)
        for item in plugin.events:
            self.registry.add(item)
        self.cells: dict[str, dict[str, Cell]] = {}
        self.listeners: list[Callable[[Sequence[Append], Appended], None]] = []
        self._hand = hand or NoHand()
        self._poison: dict[tuple[str, str], tuple[str, int]] = {}
        """Actors whose message took hosts down: (message, deaths)."""
        self._run_queue: deque[Cell] = deque()
        self._scheduled = False
        self._stopping = False
        self._waiting = 0
        self._resting = 0
        """Messages that failed and are about to be tried again."""
        self._room: asyncio.Future[None] | None = None
        self._idle: dict[asyncio.Future[None], list[Cell]] = {}
        self.handled = 0
        self.appender = Appender(store, self._on_batch)
        self.loader = Loader(store, self._on_loaded)
        self.mailroom = Mailroom(store, self._take_mail, self._wait_for_room)
        self.timers = Timers(store, now, self._fire)
        self.ownership = Ownership(
            store, self.id, ttl=self.settings.lease_ttl, info=info, gained=self._gained, lost=self._lost
        )
        effect_kinds = {kind.name: kind for kind in plugin.effects}
        self.effects = Effects(store, effect_kinds, self.ownership.owned, self._settle, self._record)
        self.memory = Memory(self)
        self.control = Control(self)
        self.routers = [Router(self, kind) for kind in self.kinds.values() if kind.subscribes]

    # -- life

    async def start(self) -> None:
        """Join, claim partitions, serve. Raises StoreUnavailable when the log is away."""
        if self._hand.found is not None:
            tenant, address, message = self._hand.found
            deaths = await self.store.strike(tenant, address, message, "the host died with this message in hand")
            self._poison[tenant, address] = (message, deaths)
            log.warning("the host died while %s handled message %s (%d times)", address, message, deaths)
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
    def waiting(self) -> int:
        """Messages waiting in memory."""
        return self._waiting + self._resting

    def serves(self, kind: str) -> bool:
        """Whether actors of that kind run here."""
        return kind in self.kinds

    def doorbell(self, head: int) -> None:
        """Another host wrote up to `head`."""
        self.mailroom.doorbell(head)
        for router in self.routers:
            router.wake()

    def deliver(self, message: Message, done: Done) -> None:
        """See `Actors.deliver`."""
        partition = partition_of(message.tenant, message.to)
        if partition not in self.ownership.owned or self._stopping:
            done(NotOwned(f"{message.to} belongs to partition {partition}, which this host does not own"))
            return
        cell = self.cell(message.tenant, message.to, partition)
        if cell is None:
            done(self._unserved(message.to))
            return
        if (cell.queue is not None and len(cell.queue) >= self.settings.queue_limit) or (
            self._waiting >= self.settings.host_limit
        ):
            done(Busy(f"{message.to} has too many messages waiting", retry_after=0.5))
            return
        if cell.loaded and cell.parked is not None:
            done(_parked(cell))
            return
        self.enqueue(cell, Work(message, done))

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

    # -- cells and the run queue

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

    def enqueue(self, cell: Cell, work: Work, *, front: bool = False) -> None:
        """Let a message wait for its turn."""
        queue = cell.queue
        if queue is None:
            queue = cell.queue = deque()
        if front:
            queue.appendleft(work)
        else:
            queue.append(work)
        self._waiting += 1
        self.make_ready(cell)

    def make_ready(self, cell: Cell) -> None:
        """Have the actor's queue looked at."""
        if cell.busy or cell.ready:
            return
        cell.ready = True
        self._run_queue.append(cell)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        run_queue = self._run_queue
        deadline = time.perf_counter() + 0.02
        while run_queue:
            cell = run_queue.popleft()
            cell.ready = False
            if cell.queue and not cell.busy:
                self._step(cell)
            if time.perf_counter() > deadline:
                asyncio.get_running_loop().call_soon(self._run)
                return
        self._scheduled = False

    def _step(self, cell: Cell) -> None:
        queue = cell.queue
        assert queue is not None
        cell.used = self.memory.clock
        if not cell.loaded:
            self.loader.want(cell)
            return
        if cell.parked is not None and not isinstance(queue[0].note, ActorResumed):
            self._turn_away(cell, lambda: _parked(cell))
            return
        epoch = self.ownership.owned.get(cell.partition)
        if epoch is None:
            self.drop(cell, NotOwned(f"{cell.address} moved to another host"))
            return
        if self._poison and self._is_poison(cell, queue[0]):
            return
        draft = Draft(cell)
        hand = self._hand
        while queue and len(draft.works) < self.settings.batch:
            work = queue[0]
            if work.solo and draft.works:
                break
            queue.popleft()
            self._waiting -= 1
            hand.take(cell.tenant, cell.address, work.message.id)
            try:
                decide_into(draft, work, self.words)
            except Exception as error:
                hand.put()
                self._failed(cell, draft, work, error)
                return
            if work.note is not None:
                self._noted(cell, work.note)
            if work.solo or cell.parked is not None:
                break
        hand.put()
        cell.busy = True
        self.appender.submit(draft.append(epoch), partial(self._verdict, cell, draft))

    def _noted(self, cell: Cell, note: object) -> None:
        if isinstance(note, ActorParked):
            cell.parked = note
        elif isinstance(note, ActorResumed):
            cell.parked = None
            cell.skip = note.skipped

    # -- after the commit

    def _verdict(self, cell: Cell, draft: Draft, verdict: Verdict | ThespisError, appended: Appended | None) -> None:
        cell.busy = False
        if isinstance(verdict, ThespisError) or appended is None:
            # The outcome is open: forget the state, and let the inbox decide when each is handled again.
            cell.unload()
            self._requeue(cell, draft.works)
            return
        if verdict.status is Status.WRITTEN:
            self._written(cell, draft, verdict.position, appended)
        elif verdict.status is Status.FENCED:
            self.ownership.fenced(cell.partition)
            self._requeue(cell, draft.works)
            self.drop(cell, NotOwned(f"{cell.address} moved to another host"))
            return
        else:
            cell.unload()
            self._not_written(cell, draft, verdict)
        if cell.queue:
            self.make_ready(cell)
        elif cell.backlog is not None:
            self.memory.refill(cell)

    def _written(self, cell: Cell, draft: Draft, position: int, appended: Appended) -> None:
        cell.version = draft.version
        cell.hash = draft.hash
        self.handled += len(draft.works)
        for work, entry in zip(draft.works, draft.answers, strict=True):
            if work.done is not None:
                work.done(answer_of(entry, position, appended.head))
            if work.timer is not None:
                self.timers.drop(cell.tenant, cell.address, work.timer[0], work.timer[1])
            elif work.change is not None:
                self.effects.closed(work.change.id)
            if work.note is not None:
                self.memory.noted(cell, work.note)
        for timer in draft.timers:
            self.timers.set(
                Timer(
                    cell.tenant, cell.address, cell.partition, timer.name, timer.id, timer.due, timer.type,
                    timer.schema, timer.data, timer.causation, timer.correlation,
                )
            )  # fmt: skip
        for name in draft.cancelled:
            self.timers.drop(cell.tenant, cell.address, name)
        for new in draft.effects:
            self.effects.opened(
                Effect(
                    new.id, cell.tenant, cell.address, cell.partition, new.kind, new.effect_class, new.key, new.data,
                    new.time, new.causation, new.correlation, new.trace, "requested", "", None, False,
                )
            )  # fmt: skip
        if cell.version - cell.snapped >= cell.kind.snapshot_every:
            self.memory.snapshot(cell)

    def _not_written(self, cell: Cell, draft: Draft, verdict: Verdict) -> None:
        works = draft.works
        if len(works) > 1 or verdict.status is Status.CONFLICT:
            for work in works:
                work.solo = True
            self._requeue(cell, works)
            return
        work = works[0]
        if verdict.status is Status.KEY_REUSED:
            if work.done is not None:
                work.done(KeyReused(f"message {work.message.id} to {cell.address} came before with another body"))
        elif verdict.status is Status.DUPLICATE:
            if work.done is not None and verdict.first is not None:
                work.done(msgspec.structs.replace(verdict.first, duplicate=True))
            if work.mail is not None:
                self._discard_mail(cell, work.mail)
        elif work.timer is not None:
            self.timers.drop(cell.tenant, cell.address, work.timer[0], work.timer[1])
        elif work.change is not None:
            self.effects.closed(work.change.id)

    def _discard_mail(self, cell: Cell, key: MailKey) -> None:
        """The message came by another way before; its row has no more to say."""
        epoch = self.ownership.owned.get(cell.partition)
        if epoch is not None:
            cell.busy = True
            row = Append(cell.tenant, cell.address, cell.partition, epoch, cell.version, taken=[key])
            self.appender.submit(row, lambda _verdict, _appended: self._free(cell))

    def _free(self, cell: Cell) -> None:
        cell.busy = False
        if cell.queue:
            self.make_ready(cell)

    def _on_batch(self, batch: Sequence[Append], appended: Appended) -> None:
        mails: list[Mail] = []
        for append, verdict in zip(batch, appended.verdicts, strict=True):
            if append.mail and verdict.status is Status.WRITTEN:
                for mail in append.mail:
                    mail.position = verdict.position
                mails += append.mail
        self.mailroom.committed(appended.before, appended.head, mails)
        if self._room is not None and self._waiting < self.settings.host_limit // 2:
            self._room.set_result(None)
            self._room = None
        for router in self.routers:
            router.wake()
        for listener in self.listeners:
            listener(batch, appended)
        if self._idle:
            self._check_idle()

    # -- failure

    def _requeue(self, cell: Cell, works: list[Work]) -> None:
        queue = cell.queue
        if queue is None:
            queue = cell.queue = deque()
        queue.extendleft(reversed(works))
        self._waiting += len(works)
        self.make_ready(cell)

    def _failed(self, cell: Cell, draft: Draft, work: Work, error: Exception) -> None:
        """`decide` or `evolve` raised: once more from a fresh state, then park."""
        cell.unload()
        work.attempts += 1
        works = [*draft.works, work]
        for one in works:
            one.solo = True
        if work.attempts < self.settings.attempts or len(works) > 1:
            cell.busy = True
            self._resting += len(works)
            asyncio.get_running_loop().call_later(
                self.settings.backoff * 2 ** (work.attempts - 1), self._retry, cell, works
            )
            return
        log.error("%s cannot handle %s %s", cell.address, work.message.type, work.message.id, exc_info=error)
        self._park(cell, work, "it cannot handle a message", f"{type(error).__name__}: {error}")

    def _retry(self, cell: Cell, works: list[Work]) -> None:
        cell.busy = False
        self._resting -= len(works)
        self._requeue(cell, works)

    def _is_poison(self, cell: Cell, work: Work) -> bool:
        message, deaths = self._poison.get((cell.tenant, cell.address), ("", 0))
        if deaths < self.settings.deaths or work.message.id != message or cell.skip == message:
            return False
        del self._poison[cell.tenant, cell.address]
        assert cell.queue is not None
        cell.queue.popleft()
        self._waiting -= 1
        work.attempts = deaths
        self._park(cell, work, "it takes down the process that handles it", f"{deaths} hosts died")
        return True

    def _park(self, cell: Cell, work: Work, reason: str, error: str) -> None:
        """Record that the actor is parked; what waits for it waits on in the store."""
        message = work.message
        note = ActorParked(message.id, message.type, reason, error, work.attempts)
        parking = Message(
            random_id(self.now()), "", cell.address, cell.tenant, b"", f"host/{self.id}", self.now(),
            message.causation or message.id, message.correlation,
        )  # fmt: skip
        draft = Draft(cell)
        draft_work = Work(parking, note=note)
        decide_into(draft, draft_work, self.words)
        cell.parked = note
        cell.busy = True
        epoch = self.ownership.owned.get(cell.partition)
        self.appender.submit(draft.append(epoch if epoch is not None else -1), partial(self._verdict, cell, draft))
        self._answer(work, _parked(cell))
        self._turn_away(cell, lambda: _parked(cell))

    def _turn_away(self, cell: Cell, error: Callable[[], ThespisError]) -> None:
        """Empty the queue: outside senders are told, what has a row stays in the store."""
        queue, cell.queue = cell.queue, None
        for work in queue or ():
            self._waiting -= 1
            self._answer(work, error())
        cell.backlog = cell.seen = None

    def _answer(self, work: Work, error: ThespisError) -> None:
        if work.done is not None:
            work.done(error)
        elif work.change is not None:
            self.effects.undelivered(work.change)
        elif work.timer is not None:
            self.timers.drop(work.message.tenant, work.message.to, work.timer[0], work.timer[1])

    def drop(self, cell: Cell, error: ThespisError) -> None:
        """Take an actor out of memory; who waits for it is told."""
        self._turn_away(cell, lambda: error)
        self.cells.get(cell.tenant, {}).pop(cell.address, None)

    def _unserved(self, address: str) -> Unserved:
        kind = address.partition("/")[0]
        return Unserved(
            f"no actor kind {kind!r} runs here",
            hint=f"known kinds: {', '.join(sorted(self.kinds))}; give the workspace that defines it with --workspace",
        )

    # -- activation

    def _on_loaded(self, cell: Cell, folded: Folded | None, loaded: Loaded | None, error: Exception | None) -> None:
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
            cell.used = self.memory.clock
            self.make_ready(cell)
            return
        if isinstance(error, ThespisError) or loaded is None:
            log.error("%s stays unserved: %s", cell.address, error)
            known = error if isinstance(error, ThespisError) else Unserved(str(error))
            self.drop(cell, known)
            return
        log.error("%s cannot be folded", cell.address, exc_info=error)
        cell.version = loaded.version
        cell.hash = loaded.hash
        cell.loaded = True
        queue = cell.queue
        if queue:
            work = queue.popleft()
            self._waiting -= 1
            self._park(cell, work, "its history cannot be folded", f"{type(error).__name__}: {error}")

    # -- where messages come from

    def _take_mail(self, mail: Mail) -> None:
        cell = self.cell(mail.tenant, mail.stream, mail.partition)
        if cell is None:
            log.error("%s has mail, but its kind does not run here", mail.stream)
            return
        key = MailKey(mail.partition, mail.position, mail.ordinal)
        if cell.backlog is not None:
            cell.seen = key
            return
        queue = cell.queue
        if queue is not None and len(queue) >= self.settings.queue_limit:
            last = next((w.mail for w in reversed(queue) if w.mail is not None), None)
            cell.backlog = last or MailKey(mail.partition, 0, 0)
            cell.seen = key
            return
        self.enqueue(cell, Work(_message(mail), mail=key))

    def take_backlog(self, cell: Cell, mails: Sequence[Mail]) -> MailKey | None:
        """Enqueue tells that waited in the store only; returns the place of the last one."""
        key: MailKey | None = None
        for mail in mails:
            key = MailKey(mail.partition, mail.position, mail.ordinal)
            self.enqueue(cell, Work(_message(mail), mail=key))
        return key

    def _fire(self, timer: Timer) -> None:
        cell = self.cell(timer.tenant, timer.stream, timer.partition)
        if cell is None:
            return
        message = Message(
            timer.id, timer.type, timer.stream, timer.tenant, timer.data, timer.stream, max(timer.due, self.now()),
            timer.causation, timer.correlation, schema=timer.schema,
        )  # fmt: skip
        self.enqueue(cell, Work(message, timer=(timer.name, timer.id)))

    def _settle(self, effect: Effect, outcome: Outcome, change: EffectChange, note: object) -> None:
        cell = self.cell(effect.tenant, effect.stream, effect.partition)
        if cell is None:
            return
        message = Message(
            outcome_id(effect, change.attempt, change.status), "Outcome", effect.stream, effect.tenant,
            _encode(outcome), f"effect:{effect.kind}", self.now(), effect.causation, effect.correlation,
            trace=effect.trace,
        )  # fmt: skip
        self.enqueue(cell, Work(message, change=change, note=note))

    async def _record(self, effect: Effect, change: EffectChange) -> bool:
        epoch = self.ownership.owned.get(effect.partition)
        if epoch is None:
            return False
        row = Append(effect.tenant, f"effect/{effect.id}", effect.partition, epoch, 0, changes=[change])
        verdict, _ = await self.appender.append(row)
        return verdict.status is Status.WRITTEN

    # -- ownership

    def _gained(self, epochs: dict[int, int]) -> None:
        self.mailroom.acquired(epochs)
        self.timers.acquired(epochs)
        self.effects.acquired(epochs)
        for router in self.routers:
            router.wake()

    async def _lost(self, partitions: Sequence[int], graceful: bool) -> None:
        lost = set(partitions)
        self.mailroom.lost(lost)
        self.timers.lost(lost)
        cells = [c for cells in self.cells.values() for c in cells.values() if c.partition in lost]
        if graceful:
            busy = [cell for cell in cells if cell.busy]
            for cell in cells:
                self._turn_away(cell, lambda: NotOwned("the partition is moving to another host"))
            if busy:
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._idle[future] = busy
                try:
                    async with asyncio.timeout(0.4):
                        await future
                except TimeoutError:
                    self._idle.pop(future, None)
            await self.memory.remember(cells)
        for cell in cells:
            self.drop(cell, NotOwned(f"{cell.address} moved to another host"))

    def _check_idle(self) -> None:
        for future, cells in list(self._idle.items()):
            if not any(cell.busy for cell in cells):
                del self._idle[future]
                if not future.done():
                    future.set_result(None)

    def _wait_for_room(self) -> asyncio.Future[None] | None:
        if self._waiting < self.settings.host_limit // 2:
            return None
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()
        return self._room


def _message(mail: Mail) -> Message:
    return Message(
        mail.id, mail.type, mail.stream, mail.tenant, mail.data, mail.sender, mail.time, mail.causation,
        mail.correlation, None, mail.schema, b"", mail.trace, mail.meta,
    )  # fmt: skip


def _parked(cell: Cell) -> Parked:
    why = cell.parked
    return Parked(
        f"{cell.address} is parked: {why.reason if why else 'unknown'}",
        hint=f"look at it with `thespis actors show {cell.address}`, then `thespis actors resume {cell.address}`",
    )
