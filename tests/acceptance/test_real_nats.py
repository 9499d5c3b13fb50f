"""NATS as a cluster of three, a NATS that is told to go, and kills at many moments."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from events.errors import BusUnavailable
from gateway.torture import faults_hosts, faults_nats
from gateway.torture.real import Stage
from gateway.torture.real_load import Load
from infra.nats.connection import connect
from infra.nats.provision import EV, find_stream
from tests.acceptance.test_real_faults import judged
from tests.nats.test_cluster import Cluster
from tests.servers import Postgres

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]


class Three(Cluster):
    """Three servers that know no users, in the place of one."""

    def url(self, role: str = "host") -> str:
        return ",".join(f"nats://127.0.0.1:{port}" for port in self.ports)

    async def leader(self) -> int:
        """Which server leads the stream of facts."""
        connection = await connect(self.url(), timeout=30)
        try:
            async with asyncio.timeout(60):
                while True:
                    with suppress(BusUnavailable):  # the servers are choosing
                        found = await find_stream(connection, EV)
                        if found is not None and found["cluster"].get("leader"):
                            return int(found["cluster"]["leader"][1:])
                    await asyncio.sleep(0.1)
        finally:
            await connection.close()


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Three]:
    directory = tmp_path / "nats"
    directory.mkdir()
    servers = Three(directory)
    for number in range(3):
        await servers.start(number)
    yield servers
    for number in list(servers.processes):
        await servers.kill(number)


async def test_a_cluster_loses_its_leader_and_a_node_its_directory(
    three: Three, postgres_server: Postgres, tmp_path: Path
):
    async with Stage(postgres_server, three, tmp_path) as stage:  # pyright: ignore[reportArgumentType]
        await stage.add(2, settings={"THESPIS_NATS_REPLICAS": "3"})
        load = Load(stage, seed=11)

        async def attack() -> None:
            for _ in range(2):
                await load.acknowledged(100)
                async with load.fault("the leader of the facts is killed"):
                    lost = await three.leader()
                    await three.kill(lost)
                    await load.acknowledged(100)
                    await three.start(lost)
                async with load.fault("a node comes back with nothing"):
                    lost = await three.leader()
                    await three.kill(lost)
                    shutil.rmtree(three.directory / str(lost))
                    await three.start(lost)
                    await load.acknowledged(100)
            assert await three.leader() in range(3)

        judged(await load.run(attack))


async def test_a_nats_that_is_told_to_go_takes_its_time(stage: Stage):
    await stage.add(2)
    load = Load(stage, seed=12)

    async def attack() -> None:
        await load.acknowledged(100)
        async with load.fault("NATS leaves as a lame duck"):
            assert stage.nats.process is not None
            await faults_nats.lame_duck(stage.nats)
            await stage.nats.process.wait(200)
            await stage.nats.start()
        await load.acknowledged(100)

    judged(await load.run(attack))


@pytest.mark.parametrize("hosts", [1, 2])
async def test_a_host_is_killed_at_twenty_moments(stage: Stage, hosts: int):
    await stage.add(hosts)
    load = Load(stage, seed=20 + hosts, copies=2)
    random = Random(hosts)

    async def attack() -> None:
        for _ in range(20):
            await load.acknowledged(random.randint(1, 90))
            async with load.fault("host killed"):
                await faults_hosts.kill(random.choice(stage.hosts))

    judged(await load.run(attack))
