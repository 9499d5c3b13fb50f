"""The spool against a real server, with a kernel small enough to see through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client as NatsClient
from nats.errors import Error as NatsError

from events.errors import Busy, Forbidden, Parked
from infra.nats.bus import NatsBus
from infra.nats.client import Client
from infra.nats.connection import Connection
from infra.nats.provision import SPOOL, SPOOL_CONSUMER, find_stream
from infra.nats.spool import Spool
from tests.nats.fakes import Kernel, eventually, plain
from tests.servers import Nats


@pytest.fixture
async def outsider(nats_server: Nats) -> AsyncIterator[NatsClient]:
    client = await plain(nats_server.client_url)
    yield client
    await client.close()


@asynccontextmanager
async def spooling(connection: Connection, kernel: Kernel, **settings: Any) -> AsyncIterator[Spool]:
    spool = Spool(connection, Client(NatsBus(connection), kernel), kernel, **({"heartbeat": 0.2} | settings))
    await spool.provision()
    await spool.start()
    try:
        yield spool
    finally:
        await spool.stop()


async def emptied(connection: Connection) -> None:
    async def empty() -> bool:
        found = await find_stream(connection, SPOOL)
        return found is not None and found["state"]["messages"] == 0

    await eventually(empty)


async def stubborn(client: NatsClient, id: str) -> None:
    """Put it there as soon as the server takes it."""

    async def taken() -> bool:
        try:
            await put(client, id)
        except NatsError:
            return False
        return True

    await eventually(taken)


async def put(
    client: NatsClient, id: str, *, subject: str | None = "account/1", data: bytes = b'{"amount":1}', **more: str
) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": id, "ce-source": "urn:till", "ce-type": "Deposit", **more}
    if subject is not None:
        headers["ce-subject"] = subject
    await client.jetstream().publish("spool.default.Deposit", data, headers=headers)


async def test_an_addressed_event_is_a_message_to_that_actor(connection: Connection, outsider: NatsClient) -> None:
    kernel = Kernel()
    async with spooling(connection, kernel):
        await put(outsider, "1")
        await put(outsider, "2", subject="nobody/1")
        await put(outsider, "3", subject=None)
        await put(outsider, "4", subject="feed/elsewhere")
        await eventually(lambda: len(kernel.handled) == 4)
        await emptied(connection)
    assert [m.to for m in kernel.handled] == ["account/1", "feed/urn:till", "feed/urn:till", "feed/urn:till"]
    first = kernel.handled[0]
    assert (first.type, first.body, first.tenant, first.sender) == (
        "Deposit",
        b'{"amount":1}',
        "default",
        "spool:default",
    )


async def test_duplicates_are_handled_once_and_acknowledged(connection: Connection, outsider: NatsClient) -> None:
    kernel = Kernel()
    async with spooling(connection, kernel):
        for _ in range(5):
            await put(outsider, "same")
        await emptied(connection)
    assert len(kernel.handled) == 1


async def test_a_busy_kernel_gets_the_message_again(connection: Connection, outsider: NatsClient) -> None:
    kernel = Kernel()
    kernel.errors = [Busy(retry_after=0.01), Parked()]
    kernel.errors[1].retry_after = 0.01
    async with spooling(connection, kernel):
        await put(outsider, "1")
        await eventually(lambda: len(kernel.handled) == 1)
        await emptied(connection)


async def test_what_cannot_be_parsed_is_a_dead_letter_in_the_log(
    nats_server: Nats, connection: Connection, outsider: NatsClient
) -> None:
    kernel = Kernel()
    watcher = await plain(nats_server.host_url)
    copies = await watcher.subscribe("dlq.>")
    await watcher.flush()
    async with spooling(connection, kernel) as spool:
        await put(outsider, "1", data=b"not json")
        await outsider.jetstream().publish("spool.default.Deposit", b"no headers at all")
        await outsider.jetstream().publish("spool.NOT-A-TENANT.Deposit", b"{}")
        await eventually(lambda: spool.dead == 3)
        await emptied(connection)
    assert [m.to for m in kernel.handled] == ["feed/dead-letters"] * 3
    assert {m.type for m in kernel.handled} == {"DeadLettered"}
    letters = [msgspec.json.decode(m.body) for m in kernel.handled]
    assert "JSON" in letters[0]["reason"]
    assert letters[0]["headers"]["ce-id"] == "1"
    assert "specversion" in letters[1]["reason"]
    assert "NOT-A-TENANT" in letters[2]["reason"]
    copy = await copies.next_msg(timeout=5)
    assert (copy.subject, copy.data) == ("dlq.default.Deposit", b"not json")
    await watcher.close()


async def test_the_same_key_with_another_body_is_a_dead_letter(connection: Connection, outsider: NatsClient) -> None:
    kernel = Kernel()
    async with spooling(connection, kernel) as spool:
        await put(outsider, "1")
        await put(outsider, "1", data=b'{"amount":2}')
        await eventually(lambda: spool.dead == 1)
        await emptied(connection)
    assert kernel.handled[0].body == b'{"amount":1}'
    assert msgspec.json.decode(kernel.handled[1].body)["message"] == "urn:till 1"


async def test_what_the_kernel_forbids_is_a_dead_letter(connection: Connection, outsider: NatsClient) -> None:
    kernel = Kernel()
    kernel.errors = [Forbidden("an event of the kernel")]
    async with spooling(connection, kernel) as spool:
        await put(outsider, "1")
        await eventually(lambda: spool.dead == 1)
        await emptied(connection)


@pytest.mark.parametrize("subject", ["approval/1", "policy/default", "tool/files.read", "call/1", "budget/tenant.x"])
async def test_those_who_decide_what_may_be_done_are_not_spoken_to_by_the_spool(
    connection: Connection, outsider: NatsClient, subject: str
) -> None:
    kernel = Kernel()
    async with spooling(connection, kernel) as spool:
        await put(outsider, "1", subject=subject)
        await eventually(lambda: spool.dead == 1)
        await emptied(connection)
    (letter,) = kernel.handled
    assert "who asks has to be known" in msgspec.json.decode(letter.body)["reason"]


async def test_a_tenant_keeps_its_messages_apart(connection: Connection, outsider: NatsClient) -> None:
    kernel = Kernel()
    async with spooling(connection, kernel):
        headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "T"}
        await outsider.jetstream().publish("spool.one.T", b"1", headers=headers)
        await outsider.jetstream().publish("spool.two.T", b"1", headers=headers)
        await eventually(lambda: len(kernel.handled) == 2)
    assert {m.tenant for m in kernel.handled} == {"one", "two"}


async def test_more_than_the_limit_flows_through(connection: Connection, outsider: NatsClient) -> None:
    kernel = Kernel()
    async with spooling(connection, kernel, limit=32) as spool:
        await asyncio.gather(*(put(outsider, str(n)) for n in range(500)))
        await emptied(connection)
        assert spool.acknowledged == 500
    assert len(kernel.handled) == 500


async def test_two_hosts_share_the_work(nats_server: Nats, connection: Connection, outsider: NatsClient) -> None:
    one, two = Kernel(), Kernel()
    async with spooling(connection, one, limit=16) as a, spooling(connection, two, limit=16) as b:
        await asyncio.gather(*(put(outsider, str(n)) for n in range(400)))
        await emptied(connection)
        assert a.acknowledged + b.acknowledged == 400
    assert len(one.handled) + len(two.handled) == 400


@pytest.mark.parametrize("signal", ["kill", "stop"])
async def test_the_pull_loop_survives_the_servers_restart(
    nats_server: Nats, connection: Connection, outsider: NatsClient, signal: str
) -> None:
    kernel = Kernel()
    # A killed server may forget the acknowledgement of the first: it then comes once more, and is handled once.
    async with spooling(connection, kernel, ack_wait=2.0):
        await put(outsider, "1")
        await eventually(lambda: len(kernel.handled) == 1)
        if signal == "kill":
            await nats_server.kill()
        await nats_server.restart()
        await stubborn(outsider, "2")
        await eventually(lambda: len(kernel.handled) == 2)
        await emptied(connection)
    assert len(kernel.handled) == 2


async def test_the_pull_loop_provisions_again_after_a_wipe(
    nats_server: Nats, connection: Connection, outsider: NatsClient
) -> None:
    kernel = Kernel()
    async with spooling(connection, kernel):
        await nats_server.kill()
        await nats_server.wipe()
        await nats_server.restart()
        await stubborn(outsider, "1")
        await eventually(lambda: len(kernel.handled) == 1)


async def test_the_spool_takes_messages_again_when_its_directory_is_removed_under_a_running_server(
    nats_server: Nats, connection: Connection, outsider: NatsClient
) -> None:
    kernel = Kernel()
    async with spooling(connection, kernel, probe_interval=0.1, probe_patience=1.0) as spool:
        await put(outsider, "1")
        await nats_server.wipe()
        large = b'"' + b"x" * 900_000 + b'"'

        async def silent() -> bool:
            try:
                headers = {"ce-specversion": "1.0", "ce-id": "2", "ce-source": "urn:till", "ce-type": "Deposit"}
                await outsider.request("spool.default.Deposit", large, headers=headers, timeout=1)
            except NatsError:
                return True
            return False

        await eventually(silent)
        await eventually(lambda: spool.probe.healed > 0, 60)
        await stubborn(outsider, "3")
        await eventually(lambda: len(kernel.handled) >= 2)


async def test_the_probe_is_no_message(connection: Connection, outsider: NatsClient) -> None:
    kernel = Kernel()
    async with spooling(connection, kernel, probe_interval=0.01) as spool:
        await eventually(lambda: spool.pull.received > 5)
        await emptied(connection)
    assert (kernel.handled, spool.dead, spool.probe.healed) == ([], 0, 0)


async def test_the_pull_loop_provisions_again_when_stream_or_consumer_are_deleted(
    connection: Connection, outsider: NatsClient
) -> None:
    kernel = Kernel()
    async with spooling(connection, kernel):
        await connection.jetstream(f"CONSUMER.DELETE.{SPOOL}.{SPOOL_CONSUMER}")
        await put(outsider, "1")
        await eventually(lambda: len(kernel.handled) == 1)
        await emptied(connection)
        await connection.jetstream(f"STREAM.DELETE.{SPOOL}")
        await stubborn(outsider, "2")
        await eventually(lambda: len(kernel.handled) == 2)


async def test_what_was_not_acknowledged_comes_again(connection: Connection, outsider: NatsClient) -> None:
    class Silent(Kernel):
        def deliver(self, message: Any, done: Any) -> None:
            self.handled.append(message)

    deaf = Silent()
    spool = Spool(connection, Client(NatsBus(connection), deaf), deaf, heartbeat=0.2, ack_wait=0.3)
    await spool.provision()
    await spool.start()
    await put(outsider, "1")
    await eventually(lambda: len(deaf.handled) == 1)
    await spool.pull.stop(patience=0.0)
    kernel = Kernel()
    async with spooling(connection, kernel, ack_wait=0.3):
        await eventually(lambda: len(kernel.handled) == 1)
        await emptied(connection)
    assert kernel.handled[0].id == deaf.handled[0].id
