"""Starting and stopping NATS, and what `nats.conf` lets each user do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from infra.embedded.nats import ROLES, EmbeddedNats
from tests.servers import Nats


async def settled(client: Client) -> None:
    """Wait until the server knows the client's subscriptions: the first PING may overtake them, the second cannot."""
    await client.flush()
    await client.flush()


class User:
    """A client's connection; somebody who may hear everything tells whether what it sends arrives."""

    def __init__(self, listener: Client) -> None:
        self.client = Client()
        self._listener = listener
        self._events: asyncio.Queue[str] = asyncio.Queue()

    async def connect(self, url: str) -> Client:
        async def note(error: Exception) -> None:
            self._events.put_nowait(str(error))

        await self.client.connect(url, error_cb=note, allow_reconnect=False)
        return self.client

    async def refused(self, subject: str) -> bool:
        """Publish, and wait for the message to arrive or for the server's refusal."""

        async def arrived(message: Msg) -> None:
            self._events.put_nowait("arrived")

        subscription = await self._listener.subscribe(subject, cb=arrived)
        await settled(self._listener)
        await self.client.publish(subject, b"x")
        event = await asyncio.wait_for(self._events.get(), 30)
        await subscription.unsubscribe()
        assert event == "arrived" or f'publish to "{subject}"'.lower() in event.lower(), event
        return event != "arrived"


@pytest.fixture
async def users(nats_server: Nats) -> AsyncIterator[dict[str, User]]:
    listener = await nats.connect(nats_server.url)
    users = {role: User(listener) for role in ROLES}
    for role, user in users.items():
        await user.connect(nats_server.embedded.url(role))
    js = listener.jetstream()
    await js.add_stream(name="EV", subjects=["ev.>"])
    await js.add_stream(name="SPOOL", subjects=["spool.>"])
    yield users
    for client in (listener, *(user.client for user in users.values())):
        await client.close()


async def test_only_the_relay_writes_facts(users: dict[str, User]) -> None:
    subject = "ev.default.account.1.Deposited"
    assert not await users["relay"].refused(subject)
    assert await users["host"].refused(subject)
    assert await users["client"].refused(subject)
    info = await users["relay"].client.jetstream().stream_info("EV")
    assert info.state.messages == 1


@pytest.mark.parametrize("action", ["DELETE", "PURGE", "UPDATE", "MSG.DELETE"])
async def test_nobody_else_tampers_with_facts(users: dict[str, User], action: str) -> None:
    assert await users["host"].refused(f"$JS.API.STREAM.{action}.EV")
    assert await users["client"].refused(f"$JS.API.STREAM.{action}.EV")
    assert await users["client"].refused(f"$JS.API.STREAM.{action}.SPOOL")


@pytest.mark.parametrize("subject", ["tell.1.default.account.1", "ctl.head", "task.mail.x", "dlq.default.x", "hb.x"])
async def test_the_inner_planes_are_closed_to_the_outside(users: dict[str, User], subject: str) -> None:
    assert await users["client"].refused(subject)
    assert not await users["host"].refused(subject)


async def test_a_client_spools_asks_and_reads_facts(users: dict[str, User]) -> None:
    client = users["client"].client
    js = client.jetstream()
    assert (await js.publish("spool.default.Deposit", b"{}")).stream == "SPOOL"
    await users["relay"].client.jetstream().publish("ev.default.a.1.T", b"1")
    facts = await js.pull_subscribe("ev.>", stream="EV")
    (fact,) = await facts.fetch(1, timeout=5)
    assert fact.data == b"1"
    await fact.ack_sync()

    async def reply(message: Msg) -> None:
        await message.respond(b"done")

    await users["host"].client.subscribe("pub.>", cb=reply)
    await settled(users["host"].client)
    assert (await client.request("pub.default.Deposited", b"{}", timeout=5)).data == b"done"


async def test_without_a_password_nobody_comes_in(nats_server: Nats) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", nats_server.embedded.port)
    assert (await reader.readline()).startswith(b"INFO ")
    writer.write(b'CONNECT {"user": "host", "pass": "guessed"}\r\nPING\r\n')
    assert b"Authorization Violation" in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_server_that_outlived_its_owner_is_ended_first(nats_server: Nats) -> None:
    first = nats_server.embedded.process
    other = EmbeddedNats(
        nats_server.directory, passwords=dict.fromkeys(ROLES, "only-for-tests"), log=nats_server.embedded.log
    )
    await other.start()
    try:
        assert first is not None
        assert first.status is not None
    finally:
        await other.stop()


async def test_the_port_stays_over_restarts_and_another_is_taken_when_it_is_gone(nats_server: Nats) -> None:
    port = nats_server.embedded.port
    await nats_server.restart()
    assert nats_server.embedded.port == port
    await nats_server.stop()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", port or 0))
        squatter.listen()
        again = EmbeddedNats(
            nats_server.directory,
            passwords=dict.fromkeys(ROLES, "only-for-tests"),
            log=nats_server.embedded.log,
            port=port,
        )
        await again.start()
        try:
            assert again.port != port
        finally:
            await again.stop()


async def test_the_store_may_vanish_while_it_runs(nats_server: Nats, tmp_path: Path) -> None:
    client = await nats.connect(nats_server.url)
    await client.jetstream().add_stream(name="S", subjects=["s.>"])
    await client.jetstream().publish("s.1", b"x")
    await client.close()
    await nats_server.wipe()
    await nats_server.restart()
    client = await nats.connect(nats_server.url)
    assert await client.jetstream().streams_info() == []
    await client.close()


async def test_any_name_of_a_directory_will_do(place: Path) -> None:
    server = Nats(place / "a, $b c é #{x}")
    await server.start()
    try:
        client = await nats.connect(server.url)
        await client.jetstream().add_stream(name="S", subjects=["s.>"])
        await client.close()
        assert server.directory.exists()
        assert list(server.directory.iterdir())
    finally:
        await server.stop()
