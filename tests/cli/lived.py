"""A log somebody lived in, on a real Postgres: tells, effects of every fate, timers, a subscription, a fork, mail that
waits for a parked actor, a body above 64 KiB, an event from outside, a projection's switch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Struct

from actors import Attempt, Effect, EffectKind, Kind, Message, Outcome, Plugin, Refused, Reply, Schedule, Tell
from actors.core.host import Host, Settings
from events.address import DEFAULT_TENANT, feed_address
from events.envelope import Answer
from events.envelope import Message as Envelope
from events.errors import NotOwned
from events.ids import digest, keyed
from infra.postgres import PostgresStore, open_store
from projections.core.chronicle import Chronicle
from projections.core.comparison import Comparison
from projections.core.port import Switch


class Work(Struct, frozen=True):
    n: int


class Note(Struct, frozen=True):
    n: int
    text: str = ""


class Later(Struct, frozen=True):
    n: int


class Call(Struct, frozen=True):
    n: int


class Begun(Struct, frozen=True):
    n: int


class Ended(Struct, frozen=True):
    effect: str
    status: str


class Woken(Struct, frozen=True):
    n: int


class Noted(Struct, frozen=True):
    n: int
    text: str


class Heard(Struct, frozen=True):
    n: int


class Count(Struct):
    events: int = 0


def evolve(state: Count, event: Any) -> Count:
    return Count(state.events + 1)


def clerk(state: Count, message: Message) -> list[Any]:
    match message.data:
        case Work(n):
            return [
                Begun(n),
                Tell(f"desk/{n % 3}", Note(n, "x" * (70_000 if n == 2 else 10))),
                Effect("call", Call(n), ref=str(n)),
                Schedule(f"soon-{n}", Later(n), after=0.01),
                Schedule("far", Later(-n), after=1e6),
                Reply({"n": n}),
            ]
        case Later(n):
            return [Woken(n)]
        case Outcome() as outcome:
            return [Ended(outcome.effect, outcome.status)]
        case _:
            return []


def desk(state: Count, message: Message) -> list[Any]:
    match message.data:
        case Note(n, text):
            if n == 4:
                raise Refused("not four")
            return [Noted(n, text)]
        case _:
            return []


def board(state: Count, message: Message) -> list[Any]:
    return [Heard(message.data.n)]


async def perform(call: Call, attempt: Attempt) -> Any:
    if call.n == 3:
        raise ConnectionError("broken off")
    if call.n == 5:
        await asyncio.Event().wait()
    if call.n == 6:
        raise ValueError("no")
    return {"n": call.n}


plugin = Plugin(
    kinds=[
        Kind("clerk", state=Count, decide=clerk, evolve=evolve, messages=[Work, Later, Outcome],
             events=[Begun, Ended, Woken], snapshot_every=4),
        Kind("desk", state=Count, decide=desk, evolve=evolve, messages=[Note], events=[Noted]),
        Kind("board", state=Count, decide=board, evolve=evolve, events=[Heard],
             subscribes={Noted: lambda noted, _event: "board/all"}),
    ],
    effects=[EffectKind("call", request=Call, perform=perform, effect_class="irreversible", timeout=600)],
)  # fmt: skip


@asynccontextmanager
async def living(url: str) -> AsyncGenerator[tuple[PostgresStore, Host]]:
    """A host on a database that is there, which owns everything."""
    async with open_store(url) as store:
        host = Host(store, plugin, settings=Settings(lease_ttl=30))
        await host.start()
        try:
            yield store, host
        finally:
            await host.stop()


async def ask(host: Host, to: str, data: Any, key: str) -> Answer:
    """A message as a client would send it, until it is handled."""
    body = msgspec.json.encode(data)
    id, name = keyed(DEFAULT_TENANT, "user:test", to, key), type(data).__name__
    message = Envelope(id, name, to, DEFAULT_TENANT, body, "user:test", host.now(), "", id, digest=digest(name, body))
    while True:
        try:
            return await host.ask(message)
        except NotOwned:
            await host.ownership.changed(1.0)


async def live(url: str) -> None:
    """Everything of the first line of this file."""
    async with living(url) as (store, host):
        for n in range(1, 7):
            await ask(host, "clerk/a", Work(n), str(n))
        id = keyed(DEFAULT_TENANT, "ce", "/shop", "1")
        meta = msgspec.json.encode({"source": "/shop", "id": "1"})
        await host.ask(
            Envelope(id, "Sold", feed_address("/shop"), DEFAULT_TENANT, b"[1]", "ce:/shop", host.now(), "", id,
                     digest=digest("Sold", b"[1]"), meta=meta)
        )  # fmt: skip
        await _until(store, {"Woken": 6, "Heard": 5, "Ended": 5, "MessageRefused": 1})
        await host.fork(DEFAULT_TENANT, "clerk/a", 5, "clerk/b", "user:test")
        await host.park(DEFAULT_TENANT, "desk/0", "user:test", "to see mail wait")
        await ask(host, "clerk/b", Later(9), "9")
        await ask(host, "clerk/c", Work(9), "9")
        switch = Switch(f"{uuid4()}", "totals", 1, 1, 2, 2, 5, Comparison(5, same=False), "projector", "", host.now())
        await Chronicle(store).record(switch)
        await _until(store, {"Ended": 6, "Woken": 8})


async def _until(store: PostgresStore, wanted: dict[str, int]) -> None:
    """Wait until so many events of these types are there."""
    async with asyncio.timeout(30):
        while True:
            events = await store.read(0, 10_000)
            found = {name: sum(event.type == name for event in events) for name in wanted}
            if all(found[name] >= count for name, count in wanted.items()):
                assert found == wanted
                return
            await asyncio.sleep(0.02)
