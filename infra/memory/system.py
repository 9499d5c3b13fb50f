"""A whole system in memory, on virtual time, with seeded ids: the same script gives the same events, anywhere.

async def script(system):
    await system.ask("account/1", Deposit(5))
    await system.advance(3600)
    assert await system.state("account/1") == {"balance": 5}

run_system(plugin, script)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from random import Random
from types import TracebackType
from typing import Any, TypeVar, cast

import msgspec

from actors.core.host import Host, Settings
from actors.core.kind import Plugin, merge
from actors.testing.clock import VirtualClock, run_virtual
from actors.workflows.tasks import Catalogue
from events.address import DEFAULT_TENANT, PARTITIONS, feed_address, partition_of
from events.envelope import Answer, Event, Message
from events.errors import NotFound, NotOwned, Refused
from events.ids import digest, keyed, random_id
from events.registry import Registry
from events.store import EventStore
from events.system import SubjectErased
from infra.memory.blobs import MemoryBlobs
from infra.memory.projections import MemoryReadModels
from infra.memory.store import MemoryStore
from infra.memory.subjects import MemoryKeys
from infra.tasks.effects import Here, task_effects
from infra.tasks.local import Executor
from infra.vault.cipher import new_key
from infra.vault.erasing import Eraser
from infra.vault.keyring import Ring
from infra.vault.source import OpenedSource
from projections import Projector, Query, StoreSource, parse_filter

T = TypeVar("T")

_encode = msgspec.json.Encoder(order="deterministic").encode


class _Line:
    """A host's connection to the store; cut, every call on it hangs, as for a machine that is gone."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.cut = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not iscoroutinefunction(method):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            if not self.cut:
                result = await method(*args, **kwargs)
                if not self.cut:
                    return result
            return await asyncio.get_running_loop().create_future()

        return call


class System:
    """Hosts over one in-memory log. Use it inside `run_system`, as an async context manager."""

    def __init__(self, plugin: Plugin, *, seed: int = 0, hosts: int = 1, settings: Settings | None = None) -> None:
        self.clock = VirtualClock()
        self.random = Random(seed)
        self.plugin = plugin
        self.settings = settings
        self.store = MemoryStore(now=self.clock)
        self.hosts: list[Host] = []
        self.blobs = MemoryBlobs()
        self._executors: dict[str, Executor] = {}
        self.models = MemoryReadModels(self.clock)
        master = new_key()
        self.keys = MemoryKeys(self.store)
        self.ring = Ring(self.keys, lambda: master, self.clock, age=None)
        types = Registry([*plugin.events, *(event for kind in plugin.kinds for event in kind.events)]).plans
        source = OpenedSource(StoreSource(self.store), self.ring, types) if types else StoreSource(self.store)
        self.projector = Projector(plugin.projections, source, self.models)
        self._lines: dict[str, _Line] = {}
        self._count = hosts

    async def __aenter__(self) -> System:
        for _ in range(self._count):
            await self.add_host()
        while len({p for h in self.hosts for p in h.owned}) < PARTITIONS:
            await self.hosts[0].ownership.changed(0.1)
        await self.projector.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for host in list(self.hosts):
            await self.stop_host(host)
        await self.projector.stop()

    async def add_host(self) -> Host:
        """Another host joins."""
        id = random_id(self.clock(), self.random)
        line = _Line(self.store)
        plugin = self.plugin
        if plugin.tasks:
            tasks = Catalogue(plugin.tasks)
            executor = self._executors[id] = Executor(tasks, self.blobs, worker=id, now=self.clock, inline=True)
            plugin = merge([plugin, Plugin(effects=task_effects(Here(executor)))])
        host = Host(
            cast("EventStore", line), plugin, host_id=id, now=self.clock, settings=self.settings, keyring=self.ring
        )
        self.ring.erased.append(lambda erasure: host.personal.erased(erasure.tenant, erasure.streams))
        host.listeners.append(lambda _batch, appended: self._ring(host, appended.head))
        self.hosts.append(host)
        self._lines[host.id] = line
        await host.start()
        return host

    async def lose_host(self, host: Host) -> None:
        """A host is gone without a word, with whatever it had in flight."""
        self._lines[host.id].cut = True
        self.hosts.remove(host)
        await host.effects.stop()
        await self._stop_tasks(host)

    async def stop_host(self, host: Host) -> None:
        """A host hands over and leaves."""
        self.hosts.remove(host)
        await host.stop()
        await self._stop_tasks(host)

    async def _stop_tasks(self, host: Host) -> None:
        if (executor := self._executors.pop(host.id, None)) is not None:
            await executor.stop()

    def _ring(self, writer: Host, head: int) -> None:
        self.projector.wake(head)
        for host in self.hosts:
            if host is not writer:
                host.doorbell(head)

    def message(
        self, to: str, data: Any, *, key: str | None = None, sender: str = "user:test", tenant: str = DEFAULT_TENANT
    ) -> Message:
        """A message as the gateway would make it; `key` is its idempotency key."""
        struct: type[Any] = data.__class__
        name, schema = self.hosts[0].words.messages.get(struct, (struct.__name__, 1))
        body = _encode(data)
        id = keyed(tenant, sender, to, key) if key is not None else random_id(self.clock(), self.random)
        return Message(id, name, to, tenant, body, sender, self.clock(), "", id, None, schema, digest(name, body))

    async def ask(self, to: str, data: Any, *, key: str | None = None, sender: str = "user:test") -> Any:
        """Send a message and return the reply, decoded. Raises Refused when the actor refuses."""
        answer = await self.deliver(self.message(to, data, key=key, sender=sender))
        if answer.outcome == "refused":
            why = msgspec.json.decode(answer.data or b"{}", type=dict[str, str])
            raise Refused(why["reason"], code=why["code"])
        return msgspec.json.decode(answer.data) if answer.data is not None else None

    async def publish(self, source: str, id: str, type: str, data: Any) -> Answer:
        """An event from outside, into its feed."""
        to = feed_address(source)
        body = _encode(data)
        meta = _encode({"source": source, "id": id})
        name = keyed(DEFAULT_TENANT, "ce", source, id)
        message = Message(
            name, type, to, DEFAULT_TENANT, body, f"ce:{source}", self.clock(), "", name, None, 1, digest(type, body),
            meta=meta,
        )  # fmt: skip
        return await self.deliver(message)

    async def deliver(self, message: Message) -> Answer:
        """Hand a message to whoever owns its actor; waits while it is moving."""
        partition = partition_of(message.tenant, message.to)
        while True:
            for host in self.hosts:
                if partition in host.owned:
                    try:
                        return await host.ask(message)
                    except NotOwned:
                        break
            await asyncio.sleep(0.05)

    async def erase(self, subject: str, reason: str = "asked for") -> SubjectErased:
        """Erase a subject: its fields fold to `Erased` from now on. Raises NotFound."""
        host = self.hosts[0]
        sealing = host.words.sealing
        if sealing is None:
            raise NotFound("no type here has personal fields", hint="mark some with events.subject")
        eraser = Eraser(
            self.store, self.keys, self.ring, sealing, host.kinds, self.projector, self.models, now=self.clock,
            types=list(host.registry.plans), shared=False,
        )  # fmt: skip
        erasure = await eraser.erase(DEFAULT_TENANT, subject, "user:test", reason)
        return await eraser.receipt(erasure.id)

    async def settle(self) -> None:
        """Wait until no message is waiting and nothing is being written."""
        quiet = 0
        head = await self.store.head()
        while quiet < 3:
            await asyncio.sleep(0.01)
            now = await self.store.head()
            idle = now == head and not any(host.waiting or host.appender.waiting for host in self.hosts)
            quiet = quiet + 1 if idle else 0
            head = now

    async def advance(self, seconds: float) -> None:
        """Let virtual time pass, and everything that is due in it."""
        await asyncio.sleep(seconds)
        await self.settle()

    async def state(self, address: str, at: int | None = None) -> Any:
        """The committed state of an actor, JSON-ready; at a version if given."""
        return (await self.hosts[0].view(DEFAULT_TENANT, address, at)).state

    async def rows(self, projection: str, *where: str) -> list[dict[str, Any]]:
        """The rows of one of the plugin's projections, once it has folded everything; `where` as in `balance>=100`."""
        await self.projector.wait(projection, await self.store.head(), 60.0)
        filters = [parse_filter(text) for text in where]
        return (await self.models.query(projection, Query(DEFAULT_TENANT, None, filters, limit=1000))).rows

    async def events(self, after: int = 0) -> list[Event]:
        """Everything in the log."""
        return await self.store.read(after, 1_000_000)


def run_system(
    plugin: Plugin,
    script: Callable[[System], Awaitable[T]],
    *,
    seed: int = 0,
    hosts: int = 1,
    settings: Settings | None = None,
) -> T:
    """Run a script against a fresh in-memory system on virtual time, and return what it returns."""

    async def main() -> T:
        async with System(plugin, seed=seed, hosts=hosts, settings=settings) as system:
            return await script(system)

    return run_virtual(main())
