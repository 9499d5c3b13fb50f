"""Hosts in memory, on virtual time, over one log, that can be struck at any call and between any two of their awaits.

Each host is what a process is: the kernel, the projector, the relay. Killed ones are followed by a fresh one, as a
supervisor would see to it. Clients repeat until they are told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, Protocol, cast

import msgspec
from msgspec.structs import replace

from actors import Plugin
from actors.core.host import Host, Settings
from actors.testing import VirtualClock
from events.address import DEFAULT_TENANT, PARTITIONS, partition_of
from events.bus import BusMessage
from events.envelope import Answer, Message
from events.errors import DeadlineExceeded, Parked, ThespisError
from events.ids import digest, keyed
from events.store import Append, Appended, Effect, EventStore
from gateway.demo.plan import Step
from gateway.process import recorded
from gateway.singletons import Info, Singletons
from infra.memory.projections import MemoryReadModels
from infra.memory.store import MemoryStore
from infra.nats.doorbell import Doorbell, mailed
from infra.nats.relay import Relay
from projections import Projector, StoreSource
from tests.acceptance.broker import BellLine, Broker, Line
from tests.acceptance.faults import Strike
from tests.acceptance.steps import NOBODY, Process, quiet
from tests.acceptance.wire import Wire

FREEZE = 6.0
CUT_OFF = 5.0
HOUR = 3600.0
ASTRAY = 20.0
PATIENCE = 5.0
REMEMBERED = 1_000_000
"""Microseconds."""


class Adapters(Protocol):
    """What the log and the read models are kept in."""

    def log(self, now: Callable[[], int]) -> MemoryStore: ...

    def models(self, now: Callable[[], int]) -> MemoryReadModels: ...


class InMemory:
    """The adapters that keep every promise."""

    def log(self, now: Callable[[], int]) -> MemoryStore:
        return MemoryStore(now=now)

    def models(self, now: Callable[[], int]) -> MemoryReadModels:
        return MemoryReadModels(now)


class Machine:
    """A host and all that runs beside it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.process = Process(name, world.stepped)
        self.clock = VirtualClock()
        self.cut_off = False
        self.deaf = False
        self.leaving = False
        store = cast("EventStore", Wire(self, world.log))
        settings = replace(world.settings, turn=1e9)
        versions = {projection.name: projection.version for projection in world.plugin.projections}
        info = msgspec.json.encode(Info(projections=versions))
        self.host = Host(store, world.plugin, host_id=name, now=self.clock, settings=settings, info=info)
        self.bell_line = BellLine(self)
        self.bell = Doorbell(cast("Any", self.bell_line), self.hear)
        self.host.listeners.append(self._committed)
        self.host.handover.listeners.append(lambda: world.coming(self))
        self.host.effects.late = world.late
        models = cast("Any", Wire(self, world.models))
        self.projector = Projector(world.plugin.projections, StoreSource(store), models, poll=0.5)
        line = cast("Any", Line(self, world.broker))
        self.relay = Relay(line, store, chunk=32, window=256, page=64, poll=0.5)
        self.singletons = Singletons(self.host, self.relay, self.projector)
        self.process.spawn(self._start())

    def _committed(self, batch: Sequence[Append], appended: Appended) -> None:
        if appended.head > appended.before:
            if self.singletons.relaying:
                self.relay.committed(recorded(batch, appended))
            self.projector.wake(appended.head)
            self.bell.ring(appended.head, appended.before, mailed(batch))

    def hear(self, head: int, before: int | None, mail: int) -> None:
        """The doorbell."""
        self.host.doorbell(head, before, mail)
        self.projector.wake(head)
        if self.singletons.relaying:
            self.relay.wake(head)

    def hurry(self) -> None:
        """Somebody comes or goes."""
        self.host.ownership.hurry()

    @property
    def alive(self) -> bool:
        return not self.process.dead

    async def _start(self) -> None:
        try:
            await self.bell.start()
            await self.host.start()
            await self.singletons.start()
        except ThespisError:
            # As a process that cannot start: it ends, and another one is started.
            self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        if self.alive and not self.world.over:
            self.process.dead = True
            self.world.ended(self)

    def freeze(self) -> None:
        """SIGSTOP, and SIGCONT once the lease is long over."""
        if self.alive and not self.process.halted:
            self.process.halted = True
            self.world.relieve()
            asyncio.get_running_loop().call_later(FREEZE, self._thaw, context=NOBODY)

    def _thaw(self) -> None:
        if self.alive:
            self.process.resume()

    def stop(self) -> None:
        """SIGTERM."""
        if self.alive and not self.leaving:
            self.leaving = True
            self.process.spawn(self._stop())

    async def _stop(self) -> None:
        await self.singletons.stop()
        await self.host.stop()
        await self.bell.stop()
        self.kill()

    async def request(self, work: Coroutine[Any, Any, Any]) -> None:
        """Have it do something, wherever the caller runs; one that dies or stands still over it is given up on.

        Not awaited itself: a task of a process that is dead takes no step, so it cannot even be cancelled.
        """
        done, _ = await asyncio.wait([self.process.spawn(work)], timeout=PATIENCE)
        for task in done:
            with contextlib.suppress(ThespisError):
                await task

    def cut(self) -> None:
        """It cannot reach the log for a while."""
        self.cut_off = True
        self.world.relieve()
        asyncio.get_running_loop().call_later(CUT_OFF, self._mend, context=NOBODY)

    def deafen(self) -> None:
        """It hears no doorbell for a while."""
        self.deaf = True
        asyncio.get_running_loop().call_later(CUT_OFF, self._mend, context=NOBODY)

    def jump(self, seconds: float) -> None:
        """Its clock is wrong for a while."""
        self.clock.shift(seconds)
        asyncio.get_running_loop().call_later(ASTRAY, self.clock.shift, -seconds, context=NOBODY)

    def _mend(self) -> None:
        self.cut_off = self.deaf = False


class World:
    """Several machines, one log, one place for read models, one bus."""

    def __init__(
        self,
        plugin: Plugin,
        strikes: Sequence[Strike] = (),
        seed: int = 1,
        *,
        hosts: int = 1,
        adapters: Adapters | None = None,
        settings: Settings | None = None,
    ) -> None:
        adapters = adapters or InMemory()
        self.clock = VirtualClock()
        self.random = Random(seed)
        self.log = adapters.log(self.clock)
        self.models = adapters.models(self.clock)
        self.broker = Broker()
        self.plugin = plugin
        self.settings = settings or Settings()
        self.machines: list[Machine] = []
        self.calls = self.steps = self.struck = 0
        self.over = False
        self._wanted = hosts
        self._count = 0
        self._strikes: dict[tuple[str, int], list[str]] = {}
        for strike in strikes:
            self._strikes.setdefault((strike.on, strike.at), []).append(strike.what)

    async def start(self) -> None:
        """Return when every partition is served, and every host has its share."""
        for _ in range(self._wanted):
            self.add()
        while True:
            served = [set(m.host.owned) for m in self.machines if m.alive and not m.leaving and not m.process.halted]
            if all(served) and len(set[int]().union(*served)) == PARTITIONS:
                return
            await asyncio.sleep(0.05)

    def add(self) -> None:
        """Another machine is switched on, unless all is over."""
        if self.over:
            return
        self._count += 1
        self.machines.append(Machine(self, f"host-{self._count}"))

    def ended(self, machine: Machine) -> None:
        """A process is gone; a supervisor starts another one, and may say that this one is gone."""
        loop = asyncio.get_running_loop()
        if self.random.random() < 0.5:
            loop.call_later(0.1, self._bury, machine, context=NOBODY)
        loop.call_later(self.random.uniform(0.05, 0.5), self._replace, context=NOBODY)

    def _bury(self, machine: Machine) -> None:
        asyncio.get_running_loop().create_task(self.log.leave(machine.host.id), context=NOBODY)

    def _replace(self) -> None:
        while not self.over and sum(machine.alive and not machine.leaving for machine in self.machines) < self._wanted:
            self.add()

    def relieve(self) -> None:
        """A host does not answer: another one is started, and later there is one too many."""
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, self.add, context=NOBODY)
        loop.call_later(2 * FREEZE, self._trim, context=NOBODY)

    def _trim(self) -> None:
        here = [m for m in self.machines if m.alive and not m.leaving and not m.process.halted]
        if len(here) > self._wanted:
            self.random.choice(here).stop()

    async def late(self, effect: Effect, status: str, outcome: bytes | None) -> None:
        """The outcome of a call came late: whoever owns its actor now is told, once."""
        for machine in self.machines:
            if machine.alive and effect.partition in machine.host.owned:
                await machine.request(
                    machine.host.resolve(effect.tenant, effect.id, status, outcome, "host", "it came late")
                )
                return

    async def stop(self) -> None:
        """Release all that was held up, and end it."""
        self._strikes.clear()
        self.over = True
        for machine in self.machines:
            machine.cut_off = True
            machine.process.resume()
        await quiet()

    # -- strikes

    def stepped(self, process: Process) -> None:
        """A host is about to take a step."""
        for what in self._strikes.pop(("step", self.steps), ()):
            self._strike(next(machine for machine in self.machines if machine.process is process), what)
        self.steps += 1

    def called(self, machine: Machine) -> str:
        """A host makes a call: what goes wrong with it, if anything."""
        faults = self._strikes.pop(("call", self.calls), [""])
        self.calls += 1
        for what in faults:
            if what == "frozen":
                self._strike(machine, what)
        self.struck += sum(what not in ("frozen", "") for what in faults)
        return next((what for what in faults if what != "frozen"), "")

    def _strike(self, machine: Machine, what: str) -> None:
        self.struck += 1
        match what:
            case "killed":
                machine.kill()
            case "frozen":
                machine.freeze()
            case "stopped":
                machine.stop()
                asyncio.get_running_loop().call_soon(self._replace, context=NOBODY)
            case "cut off":
                machine.cut()
            case "deaf":
                machine.deafen()
            case "clock forward":
                machine.jump(HOUR)
            case "clock back":
                machine.jump(-HOUR)
            case "wiped":
                self.broker.wipe()
            case "rolled back":
                self.broker.roll_back()
            case "foreign":
                self.broker.intrude()
            case "pruned":
                asyncio.get_running_loop().create_task(self.log.prune(self.clock() - REMEMBERED), context=NOBODY)
            case _:
                raise AssertionError(what)

    def latency(self) -> float:
        """Seconds that something travels."""
        return self.random.uniform(0.001, 0.02)

    # -- messages

    def rung(self, writer: Machine, ring: BusMessage) -> None:
        """Somebody rings: the others hear of it, if they do."""
        self._call(writer, lambda machine: machine.bell_line.receive(ring))

    def coming(self, machine: Machine) -> None:
        """A host comes or goes: the others are to look at who owns what."""
        self._call(machine, Machine.hurry)

    def _call(self, caller: Machine, function: Callable[..., None], *args: Any) -> None:
        for machine in self.machines:
            if machine.alive and machine is not caller and not machine.deaf and not caller.deaf:
                asyncio.get_running_loop().call_later(
                    self.latency(), machine.process.soon, function, machine, *args, context=NOBODY
                )

    def message(self, step: Step) -> Message:
        """As a door would make it of a request."""
        body = msgspec.json.encode(step.data)
        id = keyed(DEFAULT_TENANT, "user:test", step.to, step.key)
        return Message(
            id, step.message, step.to, DEFAULT_TENANT, body, "user:test", self.clock(), "", id,
            digest=digest(step.message, body),
        )  # fmt: skip

    async def ask(self, step: Step, *, patience: tuple[float, ...] = (3.0, 30.0)) -> Answer:
        """Send until there is an answer, under the same key. Raises what is no reason to try again (KeyReused)."""
        partition = partition_of(DEFAULT_TENANT, step.to)
        loop = asyncio.get_running_loop()
        while True:
            # A host that stopped for too long still believes that it owns what it owned.
            owners = [m for m in self.machines if m.alive and partition in m.host.owned]
            if not owners:
                await asyncio.sleep(0.05)
                continue
            machine = self.random.choice(owners)
            answer: asyncio.Future[Answer] = loop.create_future()
            message = self.message(step)
            loop.call_later(self.latency(), machine.process.soon, self._deliver, machine, message, answer)
            try:
                # Some wait longer than a host may stop, so that what it was asked is not asked of another meanwhile.
                async with asyncio.timeout(self.random.choice(patience)):
                    return await answer
            except (TimeoutError, DeadlineExceeded):
                continue
            except ThespisError as error:
                if error.retry_after is None and not isinstance(error, Parked):
                    raise
                await asyncio.sleep(0.05)

    def _deliver(self, machine: Machine, message: Message, answer: asyncio.Future[Answer]) -> None:
        def done(result: Answer | ThespisError) -> None:
            asyncio.get_running_loop().call_later(self.latency(), _answered, answer, result, context=NOBODY)

        machine.host.deliver(message, done)


def _answered(answer: asyncio.Future[Answer], result: Answer | ThespisError) -> None:
    if answer.done():
        return
    if isinstance(result, ThespisError):
        answer.set_exception(result)
    else:
        answer.set_result(result)
