"""A cluster of three: leaders change while facts are relayed and the spool is worked off."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.errors import Error as NatsError

from infra.embedded import ports
from infra.embedded.nats import program
from infra.nats.bus import NatsBus
from infra.nats.client import Client
from infra.nats.connection import Connection, connect
from infra.nats.provision import EV, SPOOL, Retention, find_stream
from infra.nats.relay import Relay
from infra.nats.spool import Spool
from tests.nats.fakes import Kernel, Log, eventually, plain

pytestmark = pytest.mark.long


class Cluster:
    """Three servers that can be killed and started again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = [ports.free() for _ in range(3)]
        self.routes = [ports.free() for _ in range(3)]
        self.processes: dict[int, asyncio.subprocess.Process] = {}

    @property
    def url(self) -> str:
        return ",".join(f"nats://127.0.0.1:{port}" for port in self.ports)

    async def start(self, number: int) -> None:
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in self.routes)
        file = self.directory / f"{number}.conf"
        file.write_text(
            f'server_name: "n{number}"\nhost: 127.0.0.1\nport: {self.ports[number]}\n'
            f'jetstream {{ store_dir: "{self.directory}/{number}" }}\n'
            f'cluster {{ name: "three", listen: "127.0.0.1:{self.routes[number]}", routes: [{routes}] }}\n'
        )
        self.processes[number] = await asyncio.create_subprocess_exec(
            str(program()), "-c", str(file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    async def kill(self, number: int) -> None:
        process = self.processes.pop(number)
        process.kill()
        await process.wait()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    servers = Cluster(tmp_path)
    for number in range(3):
        await servers.start(number)
    yield servers
    for number in list(servers.processes):
        await servers.kill(number)


async def leader(connection: Connection, stream: str) -> int:
    found = await find_stream(connection, stream)
    assert found is not None
    return int(found["cluster"]["leader"][1:])


@pytest.mark.timeout(180)
async def test_facts_and_spool_survive_the_loss_of_their_leaders(cluster: Cluster) -> None:
    relaying, hosting = await connect(cluster.url, timeout=30), await connect(cluster.url, timeout=30)
    log, kernel = Log(), Kernel()
    retention = Retention(replicas=3)
    relay = Relay(relaying, log, retention=retention, patience=2.0, poll=0.2)
    spool = Spool(hosting, Client(NatsBus(hosting), kernel), kernel, retention=retention, heartbeat=0.5, ack_wait=3.0)
    await relay.start()
    await spool.start()
    relay.wake(log.grow(500))
    async with asyncio.timeout(60):
        await relay.reached(500)
    outsider = await plain(cluster.url)
    sent = 0

    async def load() -> None:
        nonlocal sent
        while sent < 300:
            relay.wake(log.grow(50))
            headers = {"ce-specversion": "1.0", "ce-id": str(sent), "ce-source": "urn:till", "ce-type": "Sold"}
            try:
                await outsider.jetstream().publish("spool.default.Sold", b"1", headers=headers, timeout=1)
            except NatsError:
                await asyncio.sleep(0.05)
                continue
            sent += 1

    loading = asyncio.create_task(load())
    for stream in (EV, SPOOL):
        before = sent
        lost = await leader(hosting, stream)
        await cluster.kill(lost)
        await eventually(lambda least=before: sent > least + 30, 60)
        await cluster.start(lost)
        await eventually(lambda least=before: sent > least + 60, 60)
    await loading
    async with asyncio.timeout(60):
        await relay.reached(len(log.events))
    await eventually(lambda: len(kernel.handled) == 300, 60)
    found = await find_stream(relaying, EV)
    assert found is not None
    assert found["state"]["last_seq"] == found["state"]["messages"] == len(log.events)
    await outsider.close()
    await spool.stop()
    await relay.stop()
    await hosting.close()
    await relaying.close()
