"""A system that workflows are tested on: its host can be lost at any write, and it knows when nothing will happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import msgspec

from actors.core.host import Settings
from actors.core.kind import EffectKind
from actors.workflows.plugin import workflow_plugin
from actors.workflows.tasks import TaskResult
from events.address import DEFAULT_TENANT, PARTITIONS
from events.append import Append, Appended
from events.errors import NotFound, Refused
from infra.cel import Cel
from infra.memory.store import MemoryStore
from infra.memory.system import System

RETRY: Final = 5.0
"""Seconds until a request whose host was lost is sent again."""

_FOREVER: Final = 2**62
_SETTINGS: Final = Settings(lease_ttl=3600.0)
"""No host is busy with proving that it lives: a lost one is declared dead at once."""


class Stage(System):
    """A system with mocked tasks whose host can be lost at any write. `busy` says whether a task will yet end."""

    def __init__(self, effects: Sequence[EffectKind], busy: Callable[[], bool], seed: int = 0) -> None:
        super().__init__(workflow_plugin(Cel(), effects), seed=seed, settings=_SETTINGS)
        self._busy = busy
        self.finished: set[str] = set()
        self.written = 0
        self.runs = 1
        self.boundaries: list[int] = []
        self._memory = self.store
        self.store = cast("MemoryStore", _Watched(self, self._memory))
        self._grew = asyncio.Event()
        self._strike: tuple[int, bool] | None = None
        self._dead = False
        self._replacing: asyncio.Task[None] | None = None

    @property
    def seconds(self) -> float:
        """Virtual seconds since the beginning."""
        return asyncio.get_running_loop().time()

    @property
    def struck(self) -> bool:
        """Whether the host was lost as it was to be."""
        return self._strike is None

    def arm(self, strike: tuple[int, bool] | None) -> None:
        """From here on boundaries count. `strike`: the host is lost (before?) at that position."""
        self.boundaries.clear()
        self._strike = strike

    async def insist(self, to: str, data: Any, sender: str = "user:test") -> Any:
        """Ask until there is an answer: under the same id, so that it counts once. Raises Refused."""
        message = self.message(to, data, sender=sender)
        while True:
            try:
                async with asyncio.timeout(RETRY):
                    if self._replacing is not None:
                        await asyncio.shield(self._replacing)
                    answer = await self.deliver(message)
                break
            except TimeoutError:
                continue
        if answer.outcome == "refused":
            why = msgspec.json.decode(answer.data or b"{}", type=dict[str, str])
            raise Refused(why["reason"], code=why["code"])
        return msgspec.json.decode(answer.data) if answer.data is not None else None

    async def state(self, address: str, at: int | None = None) -> Any:
        """The state of an actor, from whichever host is there; {} when it has no history."""
        while True:
            try:
                async with asyncio.timeout(RETRY):
                    if self._replacing is not None:
                        await asyncio.shield(self._replacing)
                    return await super().state(address, at)
            except TimeoutError:
                continue
            except NotFound:
                return {}

    async def resolve(self, run: str, step: str, output: Any, error: str) -> None:
        """Settle the unknown effect of a step. Raises NotFound when there is none."""
        for event in await self._memory.read_stream(DEFAULT_TENANT, run):
            if event.type != "EffectUnknown":
                continue
            effect = await self._memory.effect(msgspec.json.decode(event.data)["effect"])
            if effect is None or effect.status != "unknown":
                continue
            if msgspec.json.decode(effect.data)["ref"].partition(":")[2] == step:
                status, outcome = (
                    ("failed", {"error": error}) if error else ("succeeded", {"result": TaskResult(output)})
                )
                stored = msgspec.json.encode(outcome)
                await self.hosts[0].resolve(effect.tenant, effect.id, status, stored, "user:test", "looked")
                return
        raise NotFound(f"{run} has no step {step!r} whose outcome is unknown")

    async def more(self, seen: int, deadline: float) -> bool:
        """Wait until more than `seen` was written; False when nothing will be, or not before `deadline`."""
        while self.written == seen:
            self._grew.clear()
            try:
                async with asyncio.timeout(min(0.1, max(0.0, deadline - self.seconds))):
                    await self._grew.wait()
                return True
            except TimeoutError:
                pass
            if self.seconds >= deadline:
                return False
            await self.settle()
            if self.written > seen:
                break
            if not self._busy() and not await self._memory.timers(range(PARTITIONS), _FOREVER, 1):
                return False
            try:
                async with asyncio.timeout(deadline - self.seconds):
                    await self._grew.wait()
            except TimeoutError:
                return False
        return True

    async def replace_host(self) -> None:
        """The host is gone, everybody knows it, and another one takes over."""
        host = self.hosts[0]
        self._dead = True
        await self.lose_host(host)
        await self._memory.leave(host.id)
        self._dead = False
        following = await self.add_host()
        while len(following.owned) < PARTITIONS:
            await following.ownership.changed(1.0)

    async def append(self, batch: Sequence[Append]) -> Appended:
        """A write by the host; it may be its last, or one that never arrives."""
        if self._dead:
            await _never()
        count = sum(len(a.events) for a in batch)
        head = await self._memory.head()
        if self._strike is not None and count and self._strike[1] and head + count >= self._strike[0] > head:
            await self._struck()
        appended = await self._memory.append(batch)
        if appended.head > head:
            self.boundaries.append(appended.head)
            self.written = appended.head
            self.finished |= {a.stream for a in batch for e in a.events if e.type == "RunFinished"}
            self.finished -= {a.stream for a in batch for e in a.events if e.type == "RunRetried"}
            self._grew.set()
            if self._strike is not None and not self._strike[1] and appended.head >= self._strike[0]:
                await self._struck()
        return appended

    async def _struck(self) -> None:
        self._strike, self._dead = None, True
        self._replacing = asyncio.create_task(self.replace_host())
        await _never()


class _Watched:
    """The store, with every append going by the stage."""

    def __init__(self, stage: Stage, store: MemoryStore) -> None:
        self._store = store
        self.append = stage.append

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def _never() -> None:
    await asyncio.get_running_loop().create_future()
