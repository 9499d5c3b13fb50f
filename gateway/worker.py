"""One worker process, wired by hand: tasks, queues, and the way back for results."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

import msgspec
import uvloop

from actors.workflows.tasks import Catalogue, Task
from events.blobs import Blobs
from events.errors import InvalidSetting
from events.ids import random_id
from gateway import workspace
from infra.nats.blobs import BusBlobs
from infra.nats.bus import NatsBus
from infra.nats.client import Client
from infra.nats.connection import Connection, connect
from infra.postgres.blobs import PostgresBlobs
from infra.postgres.connection import Links
from infra.tasks.builtin import Asking, built_in
from infra.tasks.local import Executor, Slots
from infra.tasks.showing import shown
from infra.tasks.worker import Worker

log = logging.getLogger("thespis.worker")

GRACE = 30.0
"""Seconds that calls under way have to finish after SIGTERM."""


class Options(msgspec.Struct, frozen=True):
    """What a worker is told. Without a database, large values go to the hosts over the bus."""

    nats_url: str
    queues: Sequence[str]
    tasks: Sequence[Task]
    labels: Mapping[str, str] = {}
    concurrency: int = 4
    database_url: str = ""
    grace: float = GRACE
    name: str = ""


@contextlib.asynccontextmanager
async def working(options: Options) -> AsyncGenerator[Worker]:
    """A worker that takes calls until the block is left: it then finishes what it has. Raises BusUnavailable."""
    async with contextlib.AsyncExitStack() as stack:
        name = options.name or f"{socket.gethostname().partition('.')[0]}-{os.getpid()}-{random_id()[-6:]}"
        connection = await connect(options.nats_url, name=f"thespis-worker {name}")
        stack.push_async_callback(connection.close)
        slots = Slots(here=options.concurrency, threads=options.concurrency, processes=options.concurrency)
        asking = Asking(Client(NatsBus(connection)))
        executor = Executor(
            Catalogue([*built_in(asking), *options.tasks]), _blobs(options, connection, stack), slots=slots,
            worker=name, show=shown(NatsBus(connection)),
        )  # fmt: skip
        stack.push_async_callback(executor.stop)
        worker = Worker(
            connection, executor, options.queues, labels=options.labels, concurrency=options.concurrency, id=name
        )
        await worker.start()
        try:
            yield worker
        finally:
            await worker.stop(options.grace)


def _blobs(options: Options, connection: Connection, stack: contextlib.AsyncExitStack) -> Blobs:
    if not options.database_url:
        return BusBlobs(NatsBus(connection))
    links = Links(options.database_url, "worker", 2, 30.0)
    stack.push_async_callback(links.close)
    return PostgresBlobs(links)


async def serve(options: Options) -> None:
    """Work until SIGTERM or SIGINT; a second one does not wait for what is under way."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    async with working(options) as worker:
        log.info("worker %s takes calls from %s", worker.id, ", ".join(options.queues))
        await stop.wait()
        for number in numbers:
            loop.remove_signal_handler(number)
        log.info("finishing %d calls", worker.holding)


def run(
    *,
    nats_url: str,
    database_url: str,
    queues: Sequence[str],
    labels: Mapping[str, str],
    concurrency: int,
    workspaces: Sequence[str | Path],
    grace: float,
) -> None:
    """`thespis worker`. Returns after it has drained. Raises InvalidSetting, BusUnavailable."""
    if not nats_url:
        raise InvalidSetting("no bus to work for", hint="set NATS_URL, or name a running instance with --data")
    tasks = workspace.gather(workspaces).tasks
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    options = Options(nats_url, queues, tasks, labels, concurrency, database_url, grace)
    uvloop.run(serve(options))
