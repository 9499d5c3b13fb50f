"""What the broker says of those who read from it."""

from __future__ import annotations

from infra.nats.bus import NatsBus
from infra.nats.client import Client
from infra.nats.connection import Connection
from infra.nats.lag import relayed, spooled
from infra.nats.provision import Retention, ensure_stream, facts_config
from infra.nats.spool import Spool
from tests.nats.fakes import Kernel, eventually


async def test_without_streams_there_is_nothing_to_tell(connection: Connection) -> None:
    assert await relayed(connection) is None
    assert await spooled(connection) is None


async def test_the_position_of_the_relay_is_that_of_the_stream(connection: Connection) -> None:
    await ensure_stream(connection, facts_config(Retention()), 42)
    assert await relayed(connection) == 41
    await connection.request("ev.default.account.1.Deposited", b"{}")
    assert await relayed(connection) == 42


async def test_the_spool_tells_what_waits_and_then_that_nothing_does(connection: Connection) -> None:
    kernel = Kernel()
    spool = Spool(connection, Client(NatsBus(connection), kernel), kernel, heartbeat=0.2)
    await spool.provision()
    for number in range(3):
        headers = {"ce-specversion": "1.0", "ce-id": str(number), "ce-source": "/shop", "ce-type": "Ordered"}
        await connection.request("spool.default.Ordered", b"{}", headers=headers)
    found = await spooled(connection)
    assert found is not None
    assert (found.finished, found.waiting, found.in_hand) == (0, 3, 0)
    await spool.start()
    try:

        async def done() -> bool:
            found = await spooled(connection)
            return found is not None and (found.waiting, found.in_hand) == (0, 0) and found.finished >= 3

        await eventually(done)
    finally:
        await spool.stop()
