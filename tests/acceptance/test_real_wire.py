"""The wire between hosts and Postgres fails at chosen messages: before, in and after a commit."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from gateway.torture.faults_wire import Strike, Wire, wire
from tests.acceptance.cluster import Cluster, Load, owns

pytestmark = pytest.mark.timeout(240)


def through(cluster: Cluster, wire: Wire) -> None:
    """Hosts reach Postgres through the wire."""
    cluster.database_url = cluster.postgres.url.replace(f":{cluster.postgres.port}/", f":{wire.port}/")


async def struck(strike: Strike) -> None:
    async with asyncio.timeout(60):
        await strike.struck.wait()


@pytest.mark.parametrize("hosts", [1, 2])
async def test_connections_are_cut_before_in_and_after_a_commit(cluster: Cluster, hosts: int):
    async with wire(cluster.postgres.port or 0) as line:
        through(cluster, line)
        await cluster.add(hosts)
        load = Load(cluster, seed=hosts)
        random = Random(hosts)

        async def attack() -> None:
            for _ in range(4):
                for how in random.sample(("not sent", "sent", "answered"), 3):
                    await load.acknowledged(random.randint(1, 40))
                    await struck(line.strike(Strike(how, skip=random.randint(0, 5))))
            await load.acknowledged()

        await load.run(attack)


async def test_a_commit_that_reaches_postgres_after_another_host_took_over_is_refused(cluster: Cluster):
    async with wire(cluster.postgres.port or 0) as line:
        through(cluster, line)
        (slow,) = await cluster.add(1)
        cluster.database_url = cluster.postgres.url
        (heir,) = await cluster.add(1)
        load = Load(cluster)

        async def attack() -> None:
            for _ in range(2):
                await load.acknowledged()
                held = line.strike(Strike("held"))
                await struck(held)
                line.open.clear()
                await owns(heir, 64)
                await load.acknowledged()
                held.release.set()
                line.open.set()
                await owns(slow)
                await load.acknowledged()

        await load.run(attack)
