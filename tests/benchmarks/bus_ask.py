"""An ask end to end: client process → NATS → decide → commit → reply, with some number of asks in flight; against the
raw limit, a request that is answered at once."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import uvloop

from events import ids
from events.envelope import Message
from infra.nats.bus import NatsBus
from infra.nats.client import Client, wall_clock
from infra.nats.connection import connect
from tests.benchmarks.bus_host import BODY, hosting
from tests.benchmarks.log_data import RUNS, quiet

IN_FLIGHT = (1, 64)
SECONDS = 2.0
ACCOUNTS = 500
ECHO = "bench.echo"


class Result(msgspec.Struct):
    """What the client process measured: asks per second and latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


async def ask(url: str, in_flight: int, seconds: float, raw: bool, accounts: int) -> Result:
    """Keep that many asks in flight for that long, or requests to an echo; to so many accounts, in turns."""
    bus = NatsBus(await connect(url))
    client = Client(bus)
    latencies: list[float] = []
    until = time.perf_counter() + seconds

    async def one_after_the_other(number: int) -> None:
        while (begin := time.perf_counter()) < until:
            number += 1
            to = f"account/{number * 7919 % accounts}"
            digest = ids.digest("Deposit", BODY)
            message = Message(
                ids.random_id(), "Deposit", to, "default", BODY, "user:bench", wall_clock(), "", "", digest=digest
            )
            await (bus.request(ECHO, BODY) if raw else client.ask(message))
            latencies.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    await asyncio.gather(*(one_after_the_other(n * accounts // in_flight) for n in range(in_flight)))
    rate = len(latencies) / (time.perf_counter() - begin)
    await bus.close()
    latencies.sort()
    return Result(rate, latencies[len(latencies) // 2] * 1e3, latencies[int(len(latencies) * 0.99)] * 1e3)


async def elsewhere(url: str, in_flight: int, seconds: float, raw: bool = False, accounts: int = ACCOUNTS) -> Result:
    """`ask` in a process of its own."""
    arguments = ["-m", "tests.benchmarks.bus_ask", url, str(in_flight), str(seconds), "raw" * raw, str(accounts)]
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, cwd=root)
    out, _ = await process.communicate()
    return msgspec.json.decode(out, type=Result)


async def asks(servers: Any, emit: Callable[..., None]) -> None:
    """Each number in flight, in turns."""
    results: dict[tuple[int, bool], list[Result]] = {(n, raw): [] for n in IN_FLIGHT for raw in (True, False)}
    async with hosting(servers) as running:
        bus = NatsBus(running.connection)
        await bus.listen(ECHO, lambda request: bus.send(request.reply, request.data))
        quiet()
        for turn in range(RUNS + 1):
            for count, raw in results:
                found = await elsewhere(servers.nats_url, count, SECONDS if turn else 0.5, raw)
                if turn:
                    results[count, raw].append(found)
    floors = {1: "p50 1.5 ms", 64: "p50 7 ms, 8,000/s"}
    for (count, raw), found in results.items():
        emit(
            case=f"{'raw request and reply' if raw else 'ask end to end'}, {count} in flight",
            rates=[each.rate for each in found],
            unit="asks/s",
            p50_ms=round(median(each.p50 for each in found), 2),
            p99_ms=round(median(each.p99 for each in found), 2),
            **({} if raw else {"floor": floors[count]}),
        )


CASES = [("bus-ask", asks)]


if __name__ == "__main__":
    measured = uvloop.run(
        ask(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4] == "raw", int(sys.argv[5]))
    )
    sys.stdout.write(msgspec.json.encode(measured).decode())
