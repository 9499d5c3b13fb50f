"""A door with everything real behind it but the disk: kernel, log and projections in memory, HTTP on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import aiohttp
import msgspec

from actors import Kind, Message, Plugin, Refused, Reply, versioned
from actors.core.history import history
from actors.core.host import Host
from events.envelope import Event
from events.store import EventStore
from gateway.http import Door, Heads, Server
from gateway.settings import Settings
from infra.memory.projections import MemoryReadModels
from infra.memory.store import MemoryStore
from infra.memory.tokens import MemoryTokens
from projections import PROJECTIONS, Projection, Projector, Ref, Rows, StoreSource, Table


class Add(msgspec.Struct, frozen=True):
    amount: int


class Explode(msgspec.Struct, frozen=True):
    pass


class Above(msgspec.Struct, frozen=True):
    limit: int


class Added(msgspec.Struct, frozen=True):
    amount: int


class Measured(msgspec.Struct, frozen=True):
    celsius: float


class Total(msgspec.Struct):
    total: int = 0


def decide(state: Total, message: Message) -> list[Any]:
    match message.data:
        case Add(amount) if state.total + amount < 0:
            raise Refused(f"only {state.total} there", code="insufficient")
        case Add(amount):
            return [Added(amount), Reply({"total": state.total + amount})]
        case _:
            raise RuntimeError("a bug in the actor")


def evolve(state: Total, event: Any) -> Total:
    if isinstance(event, Added):
        state.total += event.amount
    return state


def query(state: Total, question: Above) -> Any:
    return {"above": state.total > question.limit}


COUNTER = Kind(
    "counter",
    state=Total,
    decide=decide,
    evolve=evolve,
    query=query,
    messages=[Add, Explode],
    events=[Added],
    questions=[Above],
)
UPCASTERS = {1: lambda old: {"celsius": old["kelvin"] - 273.15}}
PLUGIN = Plugin(kinds=[COUNTER], events=[versioned(Measured, schema=2, upcasters=UPCASTERS)])


MOODS = Table("moods", {"tenant": str, "stream": str, "count": int}, key=("tenant", "stream"))


def moods(event: Event, data: Any) -> list[Ref]:
    return [(MOODS, (event.tenant, event.stream))]


def fold_moods(rows: Rows, event: Event, data: Any) -> None:
    if event.stream == "feed/bad":
        raise RuntimeError("not in the mood")
    rows.put(MOODS, {"tenant": event.tenant, "stream": event.stream, "count": 1})


MOODY = Projection("moody", 1, tables=[MOODS], types=["Noticed"], keys=moods, apply=fold_moods)
"""A projection that does not fold everything."""


@dataclass
class Site:
    """What a test may reach: the door over HTTP, and what is behind it."""

    url: str
    session: aiohttp.ClientSession
    store: MemoryStore
    host: Host
    projector: Projector
    door: Door
    server: Server
    settings: Settings

    async def call(self, method: str, path: str, **how: Any) -> tuple[int, Any, Any]:
        """Status, headers, and the body (JSON decoded if it is JSON)."""
        async with self.session.request(method, self.url + path, **how) as response:
            body = await response.read()
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, response.headers, msgspec.json.decode(body) if is_json and body else body

    async def get(self, path: str, **how: Any) -> Any:
        """The body of a GET that must succeed."""
        status, _, body = await self.call("GET", path, **how)
        assert status == 200, body
        return body

    async def ask(self, address: str, data: Any, key: str = "", message: str = "Add", verb: str = "ask") -> Any:
        """Status and body of an ask."""
        headers = {"Idempotency-Key": key} if key else {}
        body = {"message": message, "data": data}
        status, _, answer = await self.call("POST", f"/v1/actors/{address}/{verb}", json=body, headers=headers)
        return status, answer

    async def publish(self, *events: dict[str, Any], **how: Any) -> tuple[int, Any]:
        """Status and body of a batch."""
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        body = msgspec.json.encode(events)
        status, _, answer = await self.call("POST", "/v1/events", data=body, headers=headers, **how)
        return status, answer

    async def raw(self, request: bytes) -> bytes:
        """What the door answers to bytes as they are, until it hangs up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(request)
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()


def event(id: str, type: str = "Noticed", source: str = "/test", **more: Any) -> dict[str, Any]:
    """A CloudEvent."""
    return {"specversion": "1.0", "id": id, "source": source, "type": type, "data": {"n": 1}} | more


@asynccontextmanager
async def serving(
    tokens: MemoryTokens | None = None, store: Any = None, plugin: Plugin = PLUGIN, **settings: Any
) -> AsyncIterator[Site]:
    """A door on a free port of this machine."""
    async with AsyncExitStack() as stack:
        log = store or MemoryStore()
        host = Host(cast(EventStore, log), plugin)
        await host.start()
        stack.push_async_callback(host.stop)
        async with asyncio.timeout(20):
            while len(host.owned) < 64:
                await host.ownership.changed(0.5)
        models = MemoryReadModels()
        projector = Projector([*PROJECTIONS, MOODY], StoreSource(log), models, poll=0.05)
        await projector.start()
        stack.push_async_callback(projector.stop)
        heads = await stack.enter_async_context(Heads(log.head, poll=0.05))
        host.listeners.append(lambda _batch, appended: (heads.ring(appended.head), projector.wake(appended.head)))
        door = Door(
            client=host,
            store=log,
            models=models,
            projections=projector,
            tokens=tokens or MemoryTokens(),
            registry=host.registry,
            heads=heads,
            kinds=host.kinds,
            history=partial(history, host),
        )
        wanted = Settings(**{"port": 0, "grace": 1.0, **settings})
        server = await stack.enter_async_context(Server(door, wanted))
        session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        yield Site(server.url, session, log, host, projector, door, server, wanted)
