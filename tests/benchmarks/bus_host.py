"""What the benchmarks of the bus share: one host with everything on it, and accounts to send deposits to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from actors import Kind, Message, Plugin, Reply
from actors.core.host import Host, Settings
from events.store import Append, Appended
from gateway.process import recorded
from infra.nats.asks import Asks
from infra.nats.bus import NatsBus
from infra.nats.client import Client
from infra.nats.connection import Connection, JetStreamError, connect
from infra.nats.provision import EV, SPOOL
from infra.nats.relay import Relay
from infra.nats.spool import Spool
from infra.postgres import open_store
from tests.benchmarks.log_data import fresh


class Deposit(msgspec.Struct, frozen=True):
    amount: int
    note: str = ""


class Deposited(msgspec.Struct, frozen=True):
    amount: int
    note: str


class Account(msgspec.Struct):
    balance: int = 0


def decide(state: Account, message: Message) -> list[Any]:
    amount = message.data.amount
    return [Deposited(amount, message.data.note), Reply({"balance": state.balance + amount})]


def evolve(state: Account, event: Deposited) -> Account:
    state.balance += event.amount
    return state


account = Kind("account", state=Account, decide=decide, evolve=evolve, messages=[Deposit], events=[Deposited])
BODY = msgspec.json.encode(Deposit(1, "n" * 120))


class Running(msgspec.Struct):
    """A host and its parts of the bus, started but for the spool."""

    host: Host
    client: Client
    relay: Relay
    connection: Connection
    spool: Spool


@asynccontextmanager
async def hosting(
    servers: Any, database: str | None = None, refill: int = 1_000_000, settings: Settings | None = None
) -> AsyncGenerator[Running]:
    """One host, on a database of its own unless one is given, and streams begun anew, `refill` events back at most."""
    async with AsyncExitStack() as stack:
        if database is None:
            database = await stack.enter_async_context(fresh(servers.postgres_url))
        store = await stack.enter_async_context(open_store(database))
        connection = await connect(servers.nats_url)
        stack.push_async_callback(connection.close)
        for name in (EV, SPOOL):
            try:
                await connection.jetstream(f"STREAM.DELETE.{name}")
            except JetStreamError:
                continue
        bus = NatsBus(connection)
        host = Host(store, Plugin(kinds=[account]), settings=settings)
        client = Client(bus, host)
        relay = Relay(connection, store, refill=refill)

        def committed(batch: Sequence[Append], appended: Appended) -> None:
            if appended.head > appended.before:
                relay.committed(recorded(batch, appended))

        host.listeners.append(committed)
        asks = Asks(bus, host)
        for part in (host, relay, asks):
            await part.start()
            stack.push_async_callback(part.stop)
        spool = Spool(connection, client, host)
        await spool.provision()
        stack.push_async_callback(spool.stop)
        yield Running(host, client, relay, connection, spool)
