"""One host on a log that has become long, in a process of its own: its memory while it touches very many actors, and
how late timers fire while a million of them are pending."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import uvloop

from actors import Plugin
from actors.core.host import Host, Settings, wall_clock
from events.address import partition_of
from events.envelope import Message
from events.ids import random_id
from gateway.process import quieten_gc
from infra.postgres import open_store
from infra.postgres.ledger import _DUE, FIRST  # pyright: ignore[reportPrivateUsage]
from tests.benchmarks.bus_host import BODY, account
from tests.benchmarks.grow_log import Log

KEPT = 20_000
TOUCHED = 300_000
AT_ONCE = 256
PENDING = 1_000_000
PER_SECOND = 1_000
DUE_SECONDS = 20
AHEAD = 15.0

_TIMERS = """
insert into thespis.timers
select 'default', 'account/' || (n % $1::bigint), 't' || n, p.partition,
       '01900000-0000-7002-8000-' || lpad(to_hex(n), 12, '0'), due, 'Deposit', 1,
       convert_to('{"amount":1,"note":"' || due || '"}', 'UTF8'), '', ''
  from generate_series($2::bigint, $3::bigint - 1) n
  join pg_temp.places p on p.account = n % $1::bigint
  cross join lateral (select $4::bigint + (n - $2::bigint) * $5::bigint as due) d"""


class Found(msgspec.Struct):
    """What a child process measured: megabytes now and then, rates, and milliseconds of lateness."""

    megabytes: list[float] = []
    rate: float = 0.0
    late: list[float] = []


def resident() -> float:
    """Megabytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def touch(database: str, streams: int) -> Found:
    """Ask very many actors, of which only some stay in memory."""
    megabytes: list[float] = []
    count = min(streams, TOUCHED)
    async with open_store(database, migrated=True) as store:
        host = Host(store, Plugin(kinds=[account]), settings=Settings(actors_limit=KEPT))
        await host.start()
        begin = time.perf_counter()
        numbers = iter(range(count))

        async def ask() -> None:
            for n in numbers:
                to = f"account/{n * 7919 % streams}"
                await host.ask(Message(random_id(), "Deposit", to, "default", BODY, "user:b", wall_clock(), "", ""))
                if n % (count // 10) == 0:
                    megabytes.append(resident())

        await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
        rate = count / (time.perf_counter() - begin)
        await host.stop()
    return Found(megabytes, rate)


async def fire(database: str, streams: int) -> Found:
    """Serve timers that become due, until the last of them has fired."""
    async with open_store(database, migrated=True) as store:
        head = await store.head()
        host = Host(store, Plugin(kinds=[account]))
        await host.start()
        megabytes = [resident()]
        due = PER_SECOND * DUE_SECONDS
        late: list[float] = []
        while len(late) < due:
            await asyncio.sleep(0.5)
            while events := await store.read(head, 1_000):
                head = events[-1].position
                late += [
                    (e.recorded_at - int(msgspec.json.decode(e.data)["note"])) / 1e3
                    for e in events
                    if e.type == "Deposited"
                ]
        megabytes.append(resident())
        await host.stop()
    late.sort()
    return Found(megabytes, 0.0, [late[len(late) // 2], late[int(len(late) * 0.99)], late[-1]])


async def child(what: str, log: Log) -> Found:
    """`touch` or `fire` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.grow_host", what, log.database, str(log.streams),
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    out, _ = await process.communicate()
    return msgspec.json.decode(out, type=Found)


async def wind(database: str, streams: int, pending: int) -> str:
    """Put a million timers into the log, some of them due soon; returns the plan by which a host looks for them."""
    connection: Any = await asyncpg.connect(database)
    await connection.execute("create temp table places (account bigint primary key, partition integer)")
    rows = [(n, partition_of("default", f"account/{n}")) for n in range(streams)]
    await connection.copy_records_to_table("places", records=rows)
    await connection.execute("analyze places")
    soon = PER_SECOND * DUE_SECONDS
    day = 86_400_000_000
    await connection.execute(_TIMERS, streams, soon, pending, wall_clock() + day, 10_000)
    await connection.execute("analyze thespis.timers")
    await connection.execute("set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off")
    plan = await connection.fetch(
        f"explain (analyze, costs off) {_DUE}", list(range(64)), wall_clock() + day // 2, 5000, *FIRST
    )
    at = wall_clock() + int(AHEAD * 1e6)
    await connection.execute(_TIMERS, streams, 0, soon, at, 1_000_000 // PER_SECOND)
    await connection.close()
    return "\n".join(row[0] for row in plan)


async def memory(emit: Callable[..., None], log: Log) -> None:
    """A host that touches very many actors, and how its memory grows with them."""
    found = await child("touch", log)
    emit(
        case=f"memory of a host that touches {min(log.streams, TOUCHED):,} actors and keeps {KEPT:,}",
        megabytes=[round(each) for each in found.megabytes],
        grows=round(found.megabytes[-1] / found.megabytes[len(found.megabytes) // 2], 2),
        asks_per_second=round(found.rate),
    )


async def timers(emit: Callable[..., None], log: Log) -> None:
    """A million pending timers, of which some become due."""
    pending = min(PENDING, 10 * log.streams)
    plan = await wind(log.database, log.streams, pending)
    found = await child("fire", log)
    emit(
        case=f"timers: {pending:,} pending, {PER_SECOND:,} a second become due",
        late_ms=dict(zip(("p50", "p99", "max"), (round(each, 1) for each in found.late), strict=True)),
        megabytes=[round(each) for each in found.megabytes],
        by_index="timers_due" in plan and "Seq Scan on timers" not in plan,
        nothing_due_ms=float(plan.rpartition("Execution Time: ")[2].split()[0]),
    )


if __name__ == "__main__":
    quieten_gc()
    work = {"touch": touch, "fire": fire}[sys.argv[1]]
    sys.stdout.write(msgspec.json.encode(uvloop.run(work(sys.argv[2], int(sys.argv[3])))).decode())
