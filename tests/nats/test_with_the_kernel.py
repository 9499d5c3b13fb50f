"""The parts of the bus around real hosts: two of them on one log, asked, published to, and stopped meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any
from zlib import crc32

import msgspec
import pytest
from nats.aio.client import Client as NatsClient

from actors import Kind, Plugin, Reply
from actors.core.host import Host, Settings
from events import ids
from events.envelope import Message
from events.store import Append, Appended
from infra.memory.store import MemoryStore
from infra.nats.asks import Asks
from infra.nats.bus import NatsBus
from infra.nats.client import Client, wall_clock
from infra.nats.connection import Connection, connect
from infra.nats.doorbell import Doorbell, mailed
from infra.nats.ingress import Ingress
from infra.nats.provision import EV, find_stream
from infra.nats.relay import Relay
from infra.nats.spool import Spool
from tests.nats.fakes import eventually, plain
from tests.servers import Nats


class Deposit(msgspec.Struct, frozen=True):
    amount: int


class Deposited(msgspec.Struct, frozen=True):
    amount: int


class HowMuch(msgspec.Struct, frozen=True):
    pass


class Account(msgspec.Struct):
    balance: int = 0


def decide(state: Account, message: Any) -> list[Any]:
    return [Deposited(message.data.amount), Reply({"balance": state.balance + message.data.amount})]


def evolve(state: Account, event: Deposited) -> Account:
    state.balance += event.amount
    return state


def query(state: Account, question: HowMuch) -> dict[str, int]:
    return {"balance": state.balance}


account = Kind(
    "account",
    state=Account,
    decide=decide,
    evolve=evolve,
    query=query,
    messages=[Deposit],
    events=[Deposited],
    questions=[HowMuch],
)


class Running:
    """A host and its parts of the bus."""

    def __init__(self, store: MemoryStore, connection: Connection) -> None:
        self.connection = connection
        bus = NatsBus(connection)
        self.host = Host(store, Plugin(kinds=[account]), settings=Settings(lease_ttl=1.0))
        self.client = Client(bus, self.host)
        self.bell = Doorbell(bus, self.host.doorbell)
        self.asks = Asks(bus, self.host)
        self.ingress = Ingress(bus, self.client)
        self.spool = Spool(connection, self.client, self.host, heartbeat=0.2, ack_wait=1.0)
        self.host.listeners.append(self._committed)

    def _committed(self, batch: Sequence[Append], outcome: Appended) -> None:
        if outcome.head > outcome.before:
            self.bell.ring(outcome.head, outcome.before, mailed(batch))

    async def start(self) -> None:
        for part in (self.bell, self.host, self.asks, self.ingress, self.spool):
            await part.start()

    async def stop(self) -> None:
        for part in (self.spool, self.ingress, self.asks, self.host, self.bell):
            await part.stop()


@pytest.fixture
async def pair(nats_server: Nats) -> AsyncIterator[tuple[MemoryStore, Running, Running]]:
    store = MemoryStore(now=wall_clock)
    async with AsyncExitStack() as stack:
        running: list[Running] = []
        for _ in range(2):
            connection = await connect(nats_server.host_url)
            stack.push_async_callback(connection.close)
            running.append(Running(store, connection))
            await running[-1].start()
            stack.push_async_callback(running[-1].stop)
        await eventually(lambda: [len(each.host.owned) for each in running] == [32, 32])
        await eventually(lambda: all(each.asks.serving == each.host.owned.keys() for each in running))
        for each in running:
            await each.connection.settled()  # NATS has heard of what they serve
        yield store, running[0], running[1]


@pytest.fixture
async def outsider(nats_server: Nats) -> AsyncIterator[NatsClient]:
    client = await plain(nats_server.client_url)
    yield client
    await client.close()


def deposit(to: str, amount: int, id: str | None = None) -> Message:
    body = msgspec.json.encode(Deposit(amount))
    return Message(
        id or ids.random_id(), "Deposit", to, "default", body, "user:ada", wall_clock(), "", "",
        digest=ids.digest("Deposit", body),
    )  # fmt: skip


async def test_every_ask_is_answered_once_while_a_host_leaves(
    pair: tuple[MemoryStore, Running, Running], nats_server: Nats
) -> None:
    store, _, two = pair
    outside = NatsBus(await connect(nats_server.host_url))
    client = Client(outside)
    answered = 0

    async def customer(number: int) -> None:
        nonlocal answered
        for _ in range(20):
            message = deposit(f"account/{number}", 1)
            answer = await client.ask(message)
            assert answer.outcome == "handled"
            assert (await client.ask(message)).position == answer.position
            answered += 1

    customers = [asyncio.create_task(customer(n)) for n in range(30)]
    await eventually(lambda: answered > 100)
    await two.stop()
    await asyncio.gather(*customers)
    for number in range(30):
        data = await client.query("default", f"account/{number}", "HowMuch", b"{}")
        assert msgspec.json.decode(data) == {"balance": 20}
    assert await store.head() == 600
    await outside.close()


async def test_whatever_comes_in_is_in_the_log_once_and_on_the_stream(
    pair: tuple[MemoryStore, Running, Running], nats_server: Nats, outsider: NatsClient
) -> None:
    store, one, two = pair
    relaying = await connect(nats_server.url)
    relay = Relay(relaying, store, poll=0.05)
    await relay.start()
    headers = {"ce-specversion": "1.0", "ce-source": "urn:till", "ce-type": "Deposit"}
    await eventually(lambda: not one.spool.pull.trouble and not two.spool.pull.trouble)
    for n in range(40):
        for _ in range(2):
            to = {"ce-id": str(n), "ce-subject": f"account/{n % 5}"}
            await outsider.jetstream().publish("spool.default.Deposit", b'{"amount":1}', headers=headers | to)
    replies = [
        await outsider.request("pub.default.Sold", b"{}", headers=headers | {"ce-id": f"s{n % 10}"}, timeout=10)
        for n in range(20)
    ]
    positions = {msgspec.json.decode(reply.data)["position"] for reply in replies}
    assert len(positions) == 10
    await eventually(lambda: one.spool.acknowledged + two.spool.acknowledged == 80)
    assert await store.head() == 50
    relay.wake(50)
    async with asyncio.timeout(20):
        await relay.reached(50)
    found = await find_stream(relaying, EV)
    assert found is not None
    assert found["state"]["messages"] == 50
    for n in range(5):
        assert (await one.client.view("default", f"account/{n}")).state == {"balance": 8}
    await relay.stop()
    await relaying.close()


async def test_a_client_in_another_language_needs_a_subject_a_type_and_json(
    pair: tuple[MemoryStore, Running, Running], outsider: NatsClient
) -> None:
    partition = crc32(b"default/account/9") % 64
    headers = {"ce-type": "Deposit", "thespis-id": "receipt 17"}
    for _ in range(2):
        reply = await outsider.request(
            f"ask.{partition}.default.account.9", b'{"amount": 5}', headers=headers, timeout=10
        )
        answer = msgspec.json.decode(reply.data)
        assert (answer["outcome"], answer["version"], answer["data"]) == ("handled", 1, {"balance": 5})
    assert answer["duplicate"] is True
