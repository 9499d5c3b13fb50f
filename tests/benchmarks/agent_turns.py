"""Turns of conversations: every event committed, the model is the scripted one, pieces go over a real NATS.

A host on a store, with the live plane and without gateway. What a turn costs beside its model is what is measured.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import psutil

from actors.agents.conversation.kind import conversation_kind
from actors.agents.definition.plan import AgentDefinition, encode_definition, hash_of
from actors.agents.messages import Post, PublishAgent
from actors.agents.plugin import agent_plugin
from actors.core.host import Host, wall_clock
from actors.core.kind import Plugin, merge
from actors.models.port import Chunk, ModelInfo, ModelRequest
from actors.workflows.plugin import workflow_plugin
from events.bus import BusMessage
from events.envelope import Message
from events.ids import digest, random_id
from events.models import ModelAnswer
from gateway.agents import Agents
from gateway.process import quieten_gc
from infra.cel import Cel
from infra.models.calling import Caller
from infra.models.effects import model_effects
from infra.models.scripted import Scripted
from infra.models.showing import shown
from infra.nats.bus import NatsBus
from infra.nats.connection import connect
from infra.nats.live import watch
from infra.postgres import PostgresStore, open_store

TURNS = 2_000
RUNS = 3
OPEN = 10_000

AGENT = AgentDefinition("ada", "says it again", "Say what you were told.", ["scripted:echo"])


class Timed(Scripted):
    """The scripted model, and how long it took itself; when the first piece left it."""

    def __init__(self) -> None:
        super().__init__()
        self.took: list[float] = []
        self.first: dict[str, float] = {}

    async def stream(self, model: str, request: ModelRequest) -> AsyncIterator[Chunk]:
        """Its pieces, timed."""
        begun = time.perf_counter()
        said = request.messages[-1].text
        async for chunk in super().stream(model, request):
            if chunk.answer is not None:
                self.took.append(time.perf_counter() - begun)
            self.first.setdefault(said, time.perf_counter())
            yield chunk

    async def complete(self, model: str, request: ModelRequest) -> ModelAnswer:
        """As ever."""
        return await super().complete(model, request)

    async def list_models(self) -> list[ModelInfo]:
        """As ever."""
        return await super().list_models()


class Bench:
    """A host with an agent, and the turns that have ended."""

    def __init__(self, store: PostgresStore, bus: NatsBus) -> None:
        self.model = Timed()
        agents = Agents([], ["scripted"])
        effects = [*model_effects(Caller([self.model]), shown(bus)), *agents.effects]
        plugin = merge([workflow_plugin(Cel()), agent_plugin(), Plugin(effects=effects)])
        self.host = Host(store, plugin, host_id=random_id())
        self.replied: dict[str, float] = {}
        self.asked: dict[str, float] = {}
        self.called: dict[str, float] = {}
        """Seconds from the commit of the question to that of the answer."""
        self.host.listeners.append(self._committed)
        self._ended: dict[str, asyncio.Event] = {}

    def _committed(self, batch: Sequence[Any], _appended: Any) -> None:
        now = time.perf_counter()
        for append in batch:
            types = {event.type for event in append.events}
            if "ModelAsked" in types:
                self.asked[append.stream] = now
            if "ModelAnswered" in types:
                self.called[append.stream] = now - self.asked[append.stream]
            if "TurnReplied" in types:
                self.replied[append.stream] = now
                if (waiting := self._ended.pop(append.stream, None)) is not None:
                    waiting.set()

    async def start(self) -> None:
        """Own all partitions; the agent is ready."""
        await self.host.start()
        while len(self.host.owned) < 64:
            await asyncio.sleep(0.05)
        published = PublishAgent(msgspec.Raw(encode_definition(AGENT)), hash_of(AGENT))
        await self.send("agent/ada", published)
        while (await self.host.view("default", "agent/ada")).state.get("life") != "ready":
            await asyncio.sleep(0.02)

    async def send(self, to: str, data: msgspec.Struct) -> None:
        """Have a message handled."""
        body, id, name = msgspec.json.encode(data), random_id(), type(data).__name__
        await self.host.ask(
            Message(id, name, to, "default", body, "user:b", wall_clock(), "", id, None, 1, digest(name, body))
        )  # fmt: skip

    async def turn(self, conversation: str, text: str) -> float:
        """Seconds from a message to the commit of its answer."""
        address = f"conversation/{conversation}"
        ended = self._ended[address] = asyncio.Event()
        begun = time.perf_counter()
        await self.send(address, Post(random_id(), text, agent="ada"))
        await ended.wait()
        return self.replied[address] - begun


@asynccontextmanager
async def bench(servers: Any) -> AsyncIterator[tuple[Bench, NatsBus]]:
    """A host on an empty log."""
    quieten_gc()  # as `thespis host` does
    admin = await asyncpg.connect(servers.postgres_url)
    await admin.execute("drop database if exists bench_turns with (force)")
    await admin.execute("create database bench_turns")
    head, _, tail = servers.postgres_url.partition("?")
    url = f"{head.rpartition('/')[0]}/bench_turns" + (f"?{tail}" if tail else "")
    connection = await connect(servers.nats_host_url)
    try:
        async with open_store(url) as store:
            bus = NatsBus(connection)
            one = Bench(store, bus)
            await one.start()
            try:
                yield one, bus
            finally:
                await one.host.stop()
    finally:
        await connection.close()
        await admin.execute("drop database if exists bench_turns with (force)")
        await admin.close()


async def turns(servers: Any, emit: Callable[..., None]) -> None:
    """Turns a second in 256 conversations at once; and one at a time, what each adds to its model call."""
    async with bench(servers) as (one, _bus):
        rates: list[float] = []
        for run in range(RUNS + 1):

            async def talk(number: int, run: int = run) -> None:
                for n in range(TURNS // 256):
                    await one.turn(f"c{run}-{number}", f"message {n}")

            begun = time.perf_counter()
            await asyncio.gather(*(talk(number) for number in range(256)))
            if run:
                rates.append(TURNS // 256 * 256 / (time.perf_counter() - begun))
        emit(case="turns, scripted model, 256 conversations", rates=rates, unit="turns/s", floor=300)
        added: list[float] = []
        rest: list[float] = []
        for n in range(300):
            one.model.took.clear()
            whole = await one.turn(f"alone{n % 50}", f"message {n}")
            if n >= 50:
                added.append(one.called[f"conversation/alone{n % 50}"] - sum(one.model.took))
                rest.append(whole - sum(one.model.took))
        emit(case="added to a model call, one at a time", seconds=added, ceiling="p50 5 ms")
        emit(case="a whole turn without its model call, one at a time", seconds=rest)


async def chunks(servers: Any, emit: Callable[..., None]) -> None:
    """From the first piece leaving the model to a watcher on the live plane having it."""
    async with bench(servers) as (one, bus):
        heard: dict[str, float] = {}

        async def seen(message: BusMessage) -> None:
            heard.setdefault(message.subject, time.perf_counter())

        late: list[float] = []
        subscription = await watch(bus, "default", seen)
        await bus.settled()
        for n in range(200):
            said = f"w{n} and more"
            await one.turn(f"live{n}", said)
            while (subject := next((name for name in heard if f".live{n}." in name), None)) is None:
                await asyncio.sleep(0)
            if n >= 20:
                late.append(heard[subject] - one.model.first[said])
        await subscription.stop()
        emit(case="first piece of an answer, from the model to a watcher", seconds=late)


async def many(servers: Any, emit: Callable[..., None]) -> None:
    """10,000 conversations on one host: what each keeps in memory, and turns in all of them."""
    async with bench(servers) as (one, _bus):
        gc.collect()
        process = psutil.Process(os.getpid())
        before = process.memory_info().rss
        begun = time.perf_counter()
        for start in range(0, OPEN, 250):
            await asyncio.gather(*(one.turn(f"m{n}", "hello") for n in range(start, start + 250)))
        first = OPEN / (time.perf_counter() - begun)
        gc.collect()
        grown = (process.memory_info().rss - before) / OPEN
        begun = time.perf_counter()
        for start in range(0, OPEN, 250):
            await asyncio.gather(*(one.turn(f"m{n}", "and again") for n in range(start, start + 250)))
        again = OPEN / (time.perf_counter() - begun)
        emit(
            case="10,000 open conversations on one host", first_turns=first, second_turns=again, unit="turns/s",
            bytes_each=grown, in_memory=len(one.host.cells["default"]), kind=conversation_kind().name,
        )  # fmt: skip


CASES = [("agent-turns", turns), ("agent-chunks", chunks), ("agent-many", many)]
