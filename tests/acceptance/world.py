"""Hosts in memory, on virtual time, that can be struck at any call to the store. Clients repeat until they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from actors import Plugin
from actors.core.host import Host, Settings
from actors.testing import VirtualClock
from events.address import DEFAULT_TENANT, PARTITIONS, partition_of
from events.envelope import Answer, Message
from events.errors import OutcomeUnknown, StoreUnavailable, ThespisError, Unavailable
from events.ids import digest, keyed
from events.store import EventStore
from gateway.demo.plan import Step
from gateway.proof import LogProof, Witness, verdict, witness
from infra.memory.store import MemoryStore

FAULTS = ("killed before", "killed after", "answer lost", "not reached", "frozen")
"""What may happen to a host at a call to the store: it is killed before the call takes effect, or after; the call takes
effect but its answer is lost, or it does not take effect; the host stops for longer than its lease and then goes on."""

PATIENCE = 300.0
"""Virtual seconds until everything must be done."""
CALLS = frozenset(name for name in vars(EventStore) if not name.startswith("_") and name != "streams")


class Wire:
    """A host's way to the store. Counts calls; `faults` names what happens at which."""

    def __init__(self, world: World) -> None:
        self.host: Host
        self.dead: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._world = world
        self._thaw: asyncio.Event = asyncio.Event()
        self._thaw.set()

    def __getattr__(self, name: str) -> Any:
        world = self._world
        found = getattr(world.store, name)
        if name not in CALLS:
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            fault = world.faults.pop(len(world.calls), None)
            world.calls.append(name)
            await self.passes()
            await asyncio.sleep(world.random.uniform(0.001, 0.02))
            match fault:
                case "killed before":
                    self.kill()
                case "not reached":
                    raise StoreUnavailable("the store was not reached")
                case "frozen":
                    self._freeze()
                case _:
                    pass
            await self.passes()
            result = await found(*args, **kwargs)
            await asyncio.sleep(world.random.uniform(0.001, 0.02))
            match fault:
                case "killed after":
                    self.kill()
                case "answer lost":
                    raise (OutcomeUnknown if name == "append" else StoreUnavailable)("the answer was lost")
                case _:
                    pass
            await self.passes()
            return result

        return call

    async def passes(self) -> None:
        """The dead wait for ever, the frozen until they go on."""
        await self._thaw.wait()
        if self.dead.done():
            await asyncio.get_running_loop().create_future()

    def kill(self) -> None:
        if not self.dead.done():
            self.dead.set_result(None)
            self._world.add()

    def _freeze(self) -> None:
        self._thaw.clear()
        asyncio.get_running_loop().call_later(6.0, self._thaw.set)
        self._world.add()


class World:
    """Hosts over one log. Struck ones are followed by a fresh one, as a supervisor would see to it."""

    def __init__(self, plugin_of: Callable[[Wire], Plugin], faults: dict[int, str], seed: int) -> None:
        self.clock = VirtualClock()
        self.random = Random(seed)
        self.store = MemoryStore(now=self.clock)
        self.calls: list[str] = []
        self.faults = dict(faults)
        self._plugin_of = plugin_of
        self._wires: list[Wire] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, hosts: int) -> None:
        """Return when every partition is served, and every host has its share unless it was struck."""
        for _ in range(hosts):
            self.add()
        while True:
            living = [set(wire.host.owned) for wire in self._wires if not wire.dead.done()]
            if all(living) and len(set().union(*living)) == PARTITIONS:
                return
            await asyncio.sleep(0.05)

    def add(self) -> None:
        wire = Wire(self)
        host_id = f"host-{len(self._wires)}"
        wire.host = Host(wire, self._plugin_of(wire), host_id=host_id, now=self.clock, settings=Settings())
        wire.host.listeners.append(lambda _batch, appended: self._ring(appended.head))
        self._wires.append(wire)
        task = asyncio.get_running_loop().create_task(self._start(wire))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start(self, wire: Wire) -> None:
        try:
            await wire.host.start()
        except ThespisError:
            # As a process that cannot start: it ends, and another one is started.
            wire.kill()

    def _ring(self, head: int) -> None:
        for wire in self._wires:
            if not wire.dead.done():
                wire.host.doorbell(head)

    async def ask(self, step: Step, told: Callable[[Answer], None], after: float) -> None:
        """After some seconds, send until there is an answer, under the same key."""
        await asyncio.sleep(after)
        body = msgspec.json.encode(step.data)
        id = keyed(DEFAULT_TENANT, "user:test", step.to, step.key)
        partition = partition_of(DEFAULT_TENANT, step.to)
        while True:
            # A host that stopped for too long still believes that it owns what it owned.
            owners = [wire for wire in self._wires if not wire.dead.done() and partition in wire.host.owned]
            if owners:
                wire = self.random.choice(owners)
                # Some wait longer than a host may stop, so that what it was asked is not asked of another meanwhile.
                deadline = self.clock() + self.random.choice((3_000_000, 30_000_000))
                message = Message(
                    id, step.message, step.to, DEFAULT_TENANT, body, "user:test", self.clock(), "", id,
                    digest=digest(step.message, body), deadline=deadline,
                )  # fmt: skip
                asking = asyncio.ensure_future(wire.host.ask(message))
                try:
                    await asyncio.wait([asking, wire.dead], return_when=asyncio.FIRST_COMPLETED)
                    if asking.done() and not wire.dead.done():
                        told(asking.result())
                        return
                except Unavailable:
                    pass
                finally:
                    asking.cancel()
            await asyncio.sleep(0.05)


async def prove(world: World, *witnesses: Witness) -> list[str]:
    """The lines of the checks that failed, and of what still waits."""
    checks = await witness(world.store, LogProof(), *witnesses)
    failed = verdict(check for check in checks if not check.passed)
    waiting, _ = await world.store.mail(range(PARTITIONS), 0, 1000)
    return failed + [f"still waiting: {mail.type} for {mail.stream}" for mail in waiting]
