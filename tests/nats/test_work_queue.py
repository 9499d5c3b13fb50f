"""The work queue of tasks: what a lost worker had goes to another, whatever was taken out meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from infra.nats import tasks as queue
from infra.nats.connection import Connection, connect
from tests.servers import Nats

CALLS = [queue.subject("default", "default", {}, f"call-{n}") for n in range(3)]


class Taker:
    """A worker, as far as the queue can see."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.taken: dict[str, bytes] = {}
        """Where to acknowledge each call."""
        self._changed = asyncio.Event()

    async def ask(self, count: int) -> None:
        """Ask for so many calls."""
        inbox = self.connection.client.new_inbox()
        await self.connection.listen(f"{inbox}.>", self._on_message)
        body = msgspec.json.encode({"batch": count, "expires": 60_000_000_000})
        name = queue.consumer_name("default", {})
        self.connection.send(f"$JS.API.CONSUMER.MSG.NEXT.{queue.TASKS}.{name}", body, None, f"{inbox}.1")

    def _on_message(self, subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        if reply.startswith(b"$JS.ACK."):
            self.taken[subject.decode()] = reply
            self._changed.set()

    async def has(self, *calls: str) -> None:
        """Wait until it has these."""
        async with asyncio.timeout(30):
            while not self.taken.keys() >= set(calls):
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def takers(nats_server: Nats) -> AsyncIterator[tuple[Taker, Taker]]:
    lost, other = await connect(nats_server.host_url), await connect(nats_server.host_url)
    try:
        await queue.ensure_tasks(other, 1)
        await queue.ensure_queue(other, "default", {})
        for call in CALLS:
            await other.request(call, b"{}")
        yield Taker(lost), Taker(other)
    finally:
        await asyncio.gather(lost.close(), other.close())


async def test_a_call_that_is_taken_out_makes_the_queue_forget_no_other(takers: tuple[Taker, Taker]) -> None:
    lost, other = takers
    await lost.ask(1)
    await lost.has(CALLS[0])
    await other.ask(2)
    await other.has(*CALLS[1:])
    assert await queue.withdraw(other.connection, CALLS[1])
    assert not await queue.withdraw(other.connection, CALLS[1])
    await other.connection.request(other.taken[CALLS[2]].decode(), b"+ACK")
    await lost.connection.close()
    await other.ask(1)
    await other.has(CALLS[0])
    assert [await queue.sequence(other.connection, call) is None for call in CALLS] == [False, True, True]
