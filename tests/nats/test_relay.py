"""The relay against a real server: order, healing, and two of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from events import cloudevents
from events.envelope import Event
from infra.nats import facts
from infra.nats.connection import Connection, connect
from infra.nats.protocol import decode_headers
from infra.nats.provision import EV, find_stream
from infra.nats.relay import Relay
from tests.nats.fakes import Log, event, plain
from tests.servers import Nats


@asynccontextmanager
async def relaying(connection: Connection, log: Any, **settings: Any) -> AsyncIterator[Relay]:
    relay = Relay(connection, log, **{"patience": 1.0, "poll": 0.05} | settings)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


async def anybody(url: str) -> AsyncIterator[Client]:
    client = await plain(url)
    try:
        yield client
    finally:
        await client.close()


async def reached(relay: Relay, position: int, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        await relay.reached(position)


async def stream_of(url: str) -> list[tuple[int, str, dict[str, str], bytes]]:
    """Everything on the stream: (sequence, subject, headers, body)."""
    client = await plain(url)
    try:
        info = await client.jetstream().stream_info(EV)
        found: list[tuple[int, str, dict[str, str], bytes]] = []
        for sequence in range(info.state.first_seq, info.state.last_seq + 1):
            message = await client.jetstream().get_msg(EV, sequence)
            found.append((sequence, message.subject or "", dict(message.headers or {}), message.data or b""))
        return found
    finally:
        await client.close()


async def test_events_arrive_in_order_with_their_position_as_sequence(
    nats_server: Nats, connection: Connection
) -> None:
    log = Log()
    log.grow(50)
    async with relaying(connection, log, chunk=8) as relay:
        await reached(relay, 50)
        relay.wake(log.grow(25))
        await reached(relay, 75)
        assert relay.lag == 0
    found = await stream_of(nats_server.url)
    assert [sequence for sequence, *_ in found] == list(range(1, 76))
    for (sequence, subject, headers, body), wanted in zip(found, log.events, strict=True):
        assert subject == facts.subject(wanted)
        assert headers["ce-position"] == str(sequence)
        assert headers["ce-id"] == wanted.id
        assert body == wanted.data


async def test_just_committed_events_need_not_be_read(nats_server: Nats, connection: Connection) -> None:
    log = Log()
    async with relaying(connection, log, poll=60.0) as relay:
        await reached(relay, 0)
        log.grow(30)
        relay.committed(log.events[:10])
        relay.committed(log.events[:20])  # overlapping
        await reached(relay, 20)
        reads = log.reads
        log.grow(30)
        relay.committed(log.events[50:])  # with a hole before it
        await reached(relay, 60)
        assert log.reads > reads
    assert len(await stream_of(nats_server.url)) == 60


async def test_a_second_relay_does_no_harm(nats_server: Nats, connection: Connection) -> None:
    log = Log()
    log.grow(300)
    other = await connect(nats_server.url)
    async with relaying(connection, log, chunk=16) as one, relaying(other, log, chunk=16) as two:
        for _ in range(20):
            head = log.grow(20)
            one.wake(head)
            two.wake(head)
            await asyncio.sleep(0)
        await reached(one, 700)
        await reached(two, 700)
    await other.close()
    assert [headers["ce-id"] for _, _, headers, _ in await stream_of(nats_server.url)] == [e.id for e in log.events]


async def test_a_foreign_message_makes_the_stream_begin_again(nats_server: Nats, connection: Connection) -> None:
    log = Log()
    log.grow(10)
    async with relaying(connection, log) as relay:
        await reached(relay, 10)
        await connection.request("ev.default.account.1.Deposited", b"forged")
        relay.wake(log.grow(10))
        await reached(relay, 20)
    assert [headers["ce-id"] for _, _, headers, _ in await stream_of(nats_server.url)] == [e.id for e in log.events]


async def test_a_stream_ahead_of_the_log_begins_again(nats_server: Nats, connection: Connection) -> None:
    log = Log()
    log.grow(20)
    async with relaying(connection, log) as relay:
        await reached(relay, 20)
    restored = Log(log.events[:5])
    async with relaying(connection, restored) as relay:
        await reached(relay, 5)
        restored.events.append(event(6, id="0198c5f0-0000-7000-8000-00000000beef"))
        relay.wake(6)
        await reached(relay, 6)
    found = await stream_of(nats_server.url)
    assert [headers["ce-id"] for _, _, headers, _ in found] == [e.id for e in restored.events]


async def test_a_stream_of_another_log_of_the_same_length_begins_again(
    nats_server: Nats, connection: Connection
) -> None:
    log = Log()
    log.grow(5)
    async with relaying(connection, log) as relay:
        await reached(relay, 5)
    other = Log([event(n, id=f"0198c5f0-0000-7000-8000-aaaa{n:08x}") for n in range(1, 8)])
    async with relaying(connection, other) as relay:
        await reached(relay, 7)
    assert [headers["ce-id"] for _, _, headers, _ in await stream_of(nats_server.url)] == [e.id for e in other.events]


async def test_a_new_stream_for_a_long_log_begins_near_its_end(nats_server: Nats, connection: Connection) -> None:
    log = Log()
    log.grow(500)
    async with relaying(connection, log, refill=100) as relay:
        await reached(relay, 500)
    found = await stream_of(nats_server.url)
    assert [sequence for sequence, *_ in found] == list(range(401, 501))
    assert found[0][2]["ce-position"] == "401"


async def test_durable_readers_go_on_after_the_stream_began_again(nats_server: Nats, connection: Connection) -> None:
    log = Log()
    log.grow(10)
    async with asynccontextmanager(anybody)(nats_server.url) as client, relaying(connection, log) as relay:
        await reached(relay, 10)
        reader = await client.jetstream().pull_subscribe("ev.>", durable="mine", stream=EV)
        for message in await reader.fetch(6):
            await message.ack_sync()
        await connection.request("ev.x.y.z.T", b"forged")
        relay.wake(log.grow(3))
        await reached(relay, 13)
        again = await client.jetstream().pull_subscribe_bind("mine", EV)
        positions: list[str] = []
        async with asyncio.timeout(10):
            while len(positions) < 7:
                try:
                    batch = await again.fetch(7 - len(positions), timeout=0.2)
                except NatsError:  # not there again yet
                    continue
                positions += [message.headers["ce-position"] for message in batch if message.headers]
        assert positions == [str(n) for n in range(7, 14)]


async def test_the_stream_is_filled_again_after_it_was_removed(nats_server: Nats, connection: Connection) -> None:
    log = Log()
    log.grow(40)
    async with relaying(connection, log) as relay:
        await reached(relay, 40)
        await connection.jetstream(f"STREAM.DELETE.{EV}")
        relay.wake(log.grow(10))
        await reached(relay, 50)
    assert len(await stream_of(nats_server.url)) == 50


async def test_an_idle_relay_sees_that_its_stream_was_removed(nats_server: Nats, connection: Connection) -> None:
    log = Log()
    log.grow(40)
    async with relaying(connection, log, poll=0.05) as relay:
        await reached(relay, 40)
        await connection.jetstream(f"STREAM.DELETE.{EV}")
        async with asyncio.timeout(30):
            while (found := await find_stream(connection, EV)) is None or found["state"]["last_seq"] < 40:
                await asyncio.sleep(0.02)
    assert len(await stream_of(nats_server.url)) == 40


async def test_an_idle_relay_sees_a_foreign_message(nats_server: Nats, connection: Connection) -> None:
    log = Log()
    log.grow(10)
    async with relaying(connection, log, poll=0.05) as relay:
        await reached(relay, 10)
        await connection.request("ev.default.account.1.Deposited", b"forged")
        async with asyncio.timeout(30):
            while (found := await find_stream(connection, EV)) is None or found["state"]["last_seq"] != 10:
                await asyncio.sleep(0.02)
    assert [headers["ce-id"] for _, _, headers, _ in await stream_of(nats_server.url)] == [e.id for e in log.events]


@pytest.mark.parametrize("wiped", [False, True])
async def test_nothing_is_missing_after_the_server_was_killed_under_load(
    nats_server: Nats, connection: Connection, wiped: bool
) -> None:
    log = Log()
    async with relaying(connection, log, chunk=16, window=64) as relay:

        async def load() -> None:
            for _ in range(200):
                relay.wake(log.grow(20))
                await asyncio.sleep(0.002)

        running = asyncio.create_task(load())
        await reached(relay, 500)
        await nats_server.kill()
        if wiped:
            await nats_server.wipe()
        await nats_server.restart()
        await running
        await reached(relay, 4000)
    found = await find_stream(connection, EV)
    assert found is not None
    assert found["state"]["last_seq"] == found["state"]["messages"] == 4000


async def test_the_stream_heals_when_its_directory_is_removed_under_a_running_server(
    nats_server: Nats, connection: Connection
) -> None:
    log = Log()
    log.grow(100)
    async with relaying(connection, log, patience=0.5) as relay:
        await reached(relay, 100)
        await nats_server.wipe()
        relay.wake(log.grow(40_000))  # more than a block file
        await reached(relay, 40_100, 60)
    found = await find_stream(connection, EV)
    assert found is not None
    assert found["state"]["last_seq"] == found["state"]["messages"] == 40_100


@pytest.mark.parametrize(
    "given",
    [
        event(3),
        event(3, stream="feed/a/b%20c", type="com.example.thing", trace='00-"x"'),
        event(3, causation="urn:x y", correlation="ü"),
        event(
            3, id="urn:src the id", meta=b'{"source":"urn:src","id":"the id","subject":"s t","extensions":{"a":"1"}}'
        ),
        event(
            3,
            id="urn:src 1",
            data=b'"h\\u00e9llo"',
            meta=b'{"source":"urn:src","id":"1","datacontenttype":"text/plain","encoding":"text"}',
        ),
    ],
)
def test_the_prebuilt_bytes_are_the_binary_binding(given: Event) -> None:
    command = facts.publication(given, "reply", 1 << 20)
    line, _, rest = command.partition(b"\r\n")
    words = line.split()
    assert words[:3] == [b"HPUB", facts.subject(given).encode(), b"reply"]
    block, body = rest[: int(words[3])], rest[int(words[3]) : int(words[4])]
    headers = decode_headers(block)
    assert headers.pop("Nats-Expected-Last-Sequence") == "2"
    headers.pop("traceparent", None)
    assert headers == cloudevents.headers(cloudevents.from_event(given))
    assert body == cloudevents.content(given)
    assert rest[int(words[4]) :] == b"\r\n"


async def test_an_event_too_large_for_the_bus_travels_without_its_data(
    nats_server: Nats, connection: Connection
) -> None:
    log = Log([event(1), event(2, data=b'"' + b"x" * 8_400_000 + b'"'), event(3)])
    async with relaying(connection, log) as relay:
        await reached(relay, 3)
    found = await stream_of(nats_server.url)
    assert [len(body) for *_, body in found] == [12, 0, 12]
    assert found[1][2]["ce-dataref"] == "urn:thespis:position:2"
