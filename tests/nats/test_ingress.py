"""Publishing by request, with plain nats-py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import msgspec
import pytest
from nats.aio.client import Client as NatsClient
from nats.errors import NoRespondersError

from events.address import PARTITIONS, partition_of
from events.errors import Busy
from infra.nats.asks import Asks
from infra.nats.bus import NatsBus
from infra.nats.client import Client
from infra.nats.connection import connect
from infra.nats.ingress import Ingress
from tests.nats.fakes import Kernel, plain
from tests.servers import Nats

HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "urn:till", "ce-type": "com.example.sold"}


@pytest.fixture
async def outsider(nats_server: Nats) -> AsyncIterator[NatsClient]:
    client = await plain(nats_server.client_url)
    yield client
    await client.close()


async def host(stack: AsyncExitStack, server: Nats, kernel: Kernel) -> None:
    bus = NatsBus(await connect(server.host_url))
    stack.push_async_callback(bus.close)
    asks = Asks(bus, kernel)
    ingress = Ingress(bus, Client(bus, kernel))
    for part in (asks, ingress):
        await part.start()
        stack.push_async_callback(part.stop)


async def test_a_binary_event_is_answered_with_its_position(nats_server: Nats, outsider: NatsClient) -> None:
    kernel = Kernel()
    async with AsyncExitStack() as stack:
        await host(stack, nats_server, kernel)
        headers = {**HEADERS, "ce-subject": "caf%C3%A9", "ce-datacontenttype": "application/json"}
        reply = await outsider.request("pub.default.com.example.sold", b'{ "n": 1 }', headers=headers, timeout=5)
        assert msgspec.json.decode(reply.data) == {"id": "1", "position": 1}
        again = await outsider.request("pub.default.com.example.sold", b'{"n":1}', headers=headers, timeout=5)
        assert again.data == reply.data
    (message,) = kernel.handled
    assert (message.to, message.type, message.body) == ("feed/urn:till", "com.example.sold", b'{"n":1}')
    assert msgspec.json.decode(message.meta or b"")["subject"] == "café"


async def test_a_structured_event_is_answered_with_its_position(nats_server: Nats, outsider: NatsClient) -> None:
    kernel = Kernel()
    body = b'{"specversion":"1.0","id":"a b","source":"/x","type":"T","data":[1],"myext":true}'
    async with AsyncExitStack() as stack:
        await host(stack, nats_server, kernel)
        for headers in ({"Content-Type": "application/cloudevents+json; charset=utf-8"}, None):
            reply = await outsider.request("pub.acme.T", body, headers=headers, timeout=5)
            assert msgspec.json.decode(reply.data) == {"id": "a b", "position": 1}
    (message,) = kernel.handled
    assert (message.tenant, message.to, message.body) == ("acme", "feed/x", b"[1]")
    assert msgspec.json.decode(message.meta or b"")["extensions"] == {"myext": "true"}


async def test_nobody_taking_events_is_said_at_once(outsider: NatsClient) -> None:
    with pytest.raises(NoRespondersError):
        await outsider.request("pub.default.T", b"{}", headers=HEADERS, timeout=60)


@pytest.mark.parametrize(
    ("subject", "headers", "body", "code"),
    [
        ("pub.default.T", {"ce-id": "1"}, b"{}", "invalid-data"),
        ("pub.default.T", {**HEADERS, "ce-type": "no good"}, b"{}", "invalid-name"),
        ("pub.default.T", HEADERS, b"{", "invalid-data"),
        ("pub.default.T", HEADERS, b"\xff", "invalid-data"),
        ("pub.NOBODY.T", HEADERS, b"{}", "invalid-name"),
        ("pub.default.T", {"content-type": "application/cloudevents+avro"}, b"{}", "invalid-data"),
        ("pub.default.T", HEADERS, b'"' + b"x" * (1 << 20) + b'"', "too-large"),
    ],
)
async def test_what_is_wrong_is_said_with_a_stable_code(
    nats_server: Nats, outsider: NatsClient, subject: str, headers: dict[str, str], body: bytes, code: str
) -> None:
    kernel = Kernel()
    async with AsyncExitStack() as stack:
        await host(stack, nats_server, kernel)
        reply = await outsider.request(subject, body, headers=headers, timeout=5)
    assert reply.headers is not None
    assert reply.headers["Nats-Service-Error"] == code
    assert msgspec.json.decode(reply.data)["code"] == code
    assert kernel.handled == []


async def test_the_kernels_error_comes_with_its_advice(nats_server: Nats, outsider: NatsClient) -> None:
    kernel = Kernel()
    kernel.errors = [Busy("full", retry_after=0.5)]
    async with AsyncExitStack() as stack:
        await host(stack, nats_server, kernel)
        reply = await outsider.request("pub.default.T", b"1", headers=HEADERS, timeout=5)
    problem = msgspec.json.decode(reply.data)
    assert (problem["code"], problem["status"], problem["retry_after"]) == ("busy", 429, 0.5)


async def test_one_host_answers_and_passes_on_what_another_owns(nats_server: Nats, outsider: NatsClient) -> None:
    one = Kernel([p for p in range(PARTITIONS) if p % 2])
    two = Kernel([p for p in range(PARTITIONS) if p % 2 == 0])
    async with AsyncExitStack() as stack:
        await host(stack, nats_server, one)
        await host(stack, nats_server, two)
        replies = await asyncio.gather(
            *(
                outsider.request("pub.default.T", b"1", headers={**HEADERS, "ce-source": f"urn:{n}"}, timeout=10)
                for n in range(100)
            )
        )
    assert all(b"position" in reply.data for reply in replies)
    assert len(one.handled) + len(two.handled) == 100
    assert all(partition_of("default", m.to) % 2 for m in one.handled)
    assert not any(partition_of("default", m.to) % 2 for m in two.handled)
