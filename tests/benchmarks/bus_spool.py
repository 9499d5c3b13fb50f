"""An addressed message on the spool → decide → one commit → fact on JetStream → acknowledged; saturated, and one at a
time; against the raw limit, the same messages pulled and acknowledged without anything being done with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from infra.nats.connection import Connection
from infra.nats.protocol import publication
from infra.nats.provision import SPOOL, SPOOL_CONSUMER, find_stream
from infra.nats.pull import Pull
from tests.benchmarks.bus_host import BODY, Running, hosting
from tests.benchmarks.log_data import RUNS, quiet, ratio

MESSAGES = 20_000
ACCOUNTS = 500
ALONE = 300


def command(number: int, inbox: str) -> bytes:
    """The publication of one deposit."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": str(number),
        "ce-source": "urn:bench:till",
        "ce-type": "Deposit",
        "ce-subject": f"account/{number % ACCOUNTS}",
        "ce-datacontenttype": "application/json",
    }
    return publication("spool.default.Deposit", BODY, headers, inbox)


async def put(connection: Connection, first: int, count: int) -> None:
    """Have `count` messages on the spool, acknowledged by JetStream."""
    inbox = connection.client.new_inbox()
    got = 0
    changed = asyncio.Event()

    def on_ack(subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        nonlocal got
        assert b'"error"' not in data, data
        got += 1
        changed.set()

    listening = await connection.listen(inbox, on_ack)
    for start in range(first, first + count, 500):
        end = min(start + 500, first + count)
        connection.write(b"".join([command(n, inbox) for n in range(start, end)]))
        while got < end - first:
            changed.clear()
            await changed.wait()
    await listening.stop()


async def left(connection: Connection) -> int:
    """How many messages are on the spool."""
    found = await find_stream(connection, SPOOL)
    return 0 if found is None else found["state"]["messages"]


async def finished(running: Running, acknowledged: int, position: int) -> None:
    """Everything acknowledged, and every fact on JetStream."""
    await running.relay.reached(position)
    while running.spool.acknowledged < acknowledged:
        await running.connection.settled()
    await running.connection.settled()


async def saturated(running: Running, first: int) -> float:
    """Messages per second when they are all there before."""
    await put(running.connection, first, MESSAGES)
    before = running.spool.acknowledged
    head = await running.host.store.head()
    begin = time.perf_counter()
    await running.spool.start()
    await finished(running, before + MESSAGES, head + MESSAGES)
    rate = MESSAGES / (time.perf_counter() - begin)
    assert await running.host.store.head() == head + MESSAGES
    await running.spool.stop()
    return rate


async def raw(running: Running, first: int) -> float:
    """Messages per second only pulled and acknowledged."""
    await put(running.connection, first, MESSAGES)
    done = asyncio.Event()
    left = MESSAGES

    def take(subject: bytes, reply: bytes, head: bytes, data: bytes) -> None:
        nonlocal left
        running.connection.write(b"PUB %b 4\r\n+ACK\r\n" % reply)
        pull.finished()
        left -= 1
        if not left:
            done.set()

    pull = Pull(running.connection, SPOOL, SPOOL_CONSUMER, running.spool.provision, take)
    begin = time.perf_counter()
    await pull.start()
    await done.wait()
    await running.connection.settled()
    rate = MESSAGES / (time.perf_counter() - begin)
    await pull.stop()
    return rate


async def alone(running: Running, first: int) -> float:
    """Messages per second when each is sent after the one before was acknowledged and is a fact on JetStream."""
    await running.spool.start()
    head = await running.host.store.head()
    before = running.spool.acknowledged
    begin = time.perf_counter()
    for n in range(1, ALONE + 1):
        running.connection.write(command(first + n, "_INBOX.nobody"))
        await finished(running, before + n, head + n)
    rate = ALONE / (time.perf_counter() - begin)
    await running.spool.stop()
    return rate


async def spool(servers: Any, emit: Callable[..., None]) -> None:
    """Both, in turns."""
    async with hosting(servers) as running:
        quiet()
        many: list[float] = []
        one: list[float] = []
        bare: list[float] = []
        for turn in range(RUNS + 1):
            start = turn * 10 * MESSAGES
            rates = (
                await saturated(running, start),
                await alone(running, start + 5 * MESSAGES),
                await raw(running, start + 6 * MESSAGES),
            )
            if turn:
                for values, rate in zip((many, one, bare), rates, strict=True):
                    values.append(rate)
        async with asyncio.timeout(10):  # the server applies acknowledgements after it took them
            while (await left(running.connection)) > 0:
                await running.connection.settled()
    emit(case="spool, raw: pulled and acknowledged only", rates=bare, unit="messages/s")
    emit(case="spool → decide → commit → fact → ack, one at a time", rates=one, unit="messages/s")
    emit(
        case="spool → decide → commit → fact → ack, saturated",
        rates=many,
        unit="messages/s",
        floor=12_000,
        of_one_at_a_time=ratio(many, one),
        of_raw=ratio(many, bare),
    )


CASES = [("bus-spool", spool)]
