"""Subscriptions: facts of others become messages to the actors that want them.

For each subscribing kind one cursor over the log, kept as the router's own stream: the tells and the cursor's move are
one append, so each fact is routed once, whichever host does it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from actors.core.deciding import receiver
from actors.core.kind import Kind
from events import chain
from events.address import DEFAULT_TENANT, partition_of
from events.envelope import Event
from events.errors import ThespisError, Unavailable
from events.ids import derived, keyed, numbered, random_id
from events.sealing import is_sealed, move, unseal
from events.store import Append, Mail, NewEvent, Status
from events.subjects import KeysNeeded, Place
from events.system import DeadLettered, Followed, Routed

if TYPE_CHECKING:
    from actors.core.host import Host

log = logging.getLogger("thespis.router")
PAGE = 500


class Router:
    """Runs on the host that owns the partition of `router/<kind>`."""

    def __init__(self, host: Host, kind: Kind) -> None:
        self._host = host
        self._kind = kind
        self.stream = f"router/{kind.name}"
        self._partition = partition_of(DEFAULT_TENANT, self.stream)
        self.types = sorted(kind.subscribes)
        self._epoch: int | None = None
        self._version = 0
        self._hash = chain.GENESIS
        self.cursor = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=self.stream)

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """There is more in the log."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(1.0):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            epoch = self._host.owned.get(self._partition)
            if epoch is None:
                self._epoch = None
                continue
            try:
                if epoch != self._epoch:
                    await self._recall()
                    self._epoch = epoch
                await self._route(epoch)
            except ThespisError as error:
                self._epoch = None
                log.warning("%s: %s", self.stream, error)
                await asyncio.sleep(0.2)

    async def _recall(self) -> None:
        """The cursor is the last event of the router's stream."""
        loaded = (await self._host.store.load([(DEFAULT_TENANT, self.stream, "")]))[0]
        self._version, self._hash = loaded.version, loaded.hash
        self.cursor = 0
        if loaded.version:
            last = await self._host.store.read_stream(DEFAULT_TENANT, self.stream, loaded.version - 1)
            self.cursor = msgspec.json.decode(last[-1].data, type=Routed).upto

    async def _route(self, epoch: int) -> None:
        store = self._host.store
        while True:
            head = await store.head()
            facts = await store.read(self.cursor, PAGE, self.types)
            mails: list[Mail] = []
            dead: list[DeadLettered] = []
            for fact in facts:
                try:
                    mails += await self._some(fact)
                except Unavailable:
                    raise
                except Exception as error:
                    personal = is_sealed(fact.data)  # then the error may quote what is sealed
                    shown = None if personal else error
                    log.error("%s cannot route %s at %d", self.stream, fact.type, fact.position, exc_info=shown)
                    reason = type(error).__name__ if personal else f"{type(error).__name__}: {error}"
                    dead.append(DeadLettered(fact.id, fact.type, self.stream, reason))
            for ordinal, mail in enumerate(mails):
                mail.ordinal = ordinal
            upto = facts[-1].position if len(facts) == PAGE else max(head, facts[-1].position if facts else 0)
            if mails or dead:
                await self._append(epoch, Routed(upto, len(mails)), mails, dead, facts[-1])
            self.cursor = max(self.cursor, upto)
            if len(facts) < PAGE:
                return

    async def _some(self, fact: Event) -> list[Mail]:
        while True:
            try:
                return self._tells(fact)
            except KeysNeeded as needed:
                sealing = self._host.words.sealing
                assert sealing is not None
                await sealing.keyring.fetch(needed)

    def _tells(self, fact: Event) -> list[Mail]:
        sealing = self._host.words.sealing
        plain, place = fact.data, Place(fact.tenant, fact.stream, str(fact.version), fact.type)
        sealed = sealing is not None and is_sealed(plain)
        if sealing is not None and sealed:
            plain = unseal(sealing.keyring, plain, place)
        data = self._host.registry.decode(fact.type, fact.schema, plain)
        to = self._kind.subscribes[fact.type](data, fact)
        addresses = [to] if isinstance(to, str) else list(dict.fromkeys(to or ()))
        mails: list[Mail] = []
        for address in addresses:
            id, body = keyed(fact.tenant, "subscription", address, fact.id), fact.data
            if sealing is not None and sealed:
                body = move(sealing.keyring, body, place, Place(fact.tenant, address, id, fact.type))
            mails.append(
                Mail(
                    receiver(fact.tenant, address), fact.tenant, address, 0, id, fact.type, fact.schema, body,
                    self.stream, fact.recorded_at, fact.id, fact.correlation, fact.trace, fact.meta,
                )
            )  # fmt: skip
        return mails

    async def _append(
        self, epoch: int, routed: Routed | Followed, mails: list[Mail], dead: list[DeadLettered], last: Event
    ) -> None:
        now = self._host.now()
        base = derived(self.stream, random_id(now), now)
        events: list[NewEvent] = []
        version, link = self._version, self._hash
        # The cursor comes last, so that the newest event of the stream tells where to go on.
        for number, event in enumerate([*dead, routed]):
            version += 1
            id, name, data = numbered(base, number), type(event).__name__, msgspec.json.encode(event)
            link = chain.link(link, DEFAULT_TENANT, self.stream, version, id, name, 1, last.id, data)
            events.append(NewEvent(id, name, 1, data, last.id, last.correlation, link))
        append = Append(DEFAULT_TENANT, self.stream, self._partition, epoch, self._version, events, mail=mails)
        verdict, _ = await self._host.appender.append(append)
        if verdict.status is not Status.WRITTEN:
            raise ThespisError(f"the router's append was not written: {verdict.status.name}")
        self._version, self._hash = version, link
