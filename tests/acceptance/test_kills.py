"""Real processes are killed under load: whatever dies, nothing acknowledged is lost and nothing happens twice."""

from __future__ import annotations

import signal

import pytest

from tests.acceptance.cluster import Cluster, Load, owns

pytestmark = pytest.mark.timeout(120)


async def test_a_host_is_killed_and_started_again(cluster: Cluster):
    (host,) = await cluster.add(1)
    load = Load(cluster)

    async def attack() -> None:
        for _ in range(2):
            await load.acknowledged()
            await host.kill()
            host.start()
            await host.ready()
        await load.acknowledged()

    await load.run(attack)


async def test_one_of_two_hosts_is_killed_and_the_other_stopped_after_it_came_back(cluster: Cluster):
    first, second = await cluster.add(2)
    load = Load(cluster)

    async def attack() -> None:
        await load.acknowledged()
        await first.kill()
        await owns(second, 64)
        await load.acknowledged()
        first.start()
        await first.ready()
        await load.acknowledged()
        assert await second.stop() == 0
        await load.acknowledged()

    await load.run(attack)


async def test_postgres_is_killed_and_started_again(cluster: Cluster):
    await cluster.add(1)
    load = Load(cluster)

    async def attack() -> None:
        for _ in range(2):
            await load.acknowledged()
            await cluster.postgres.kill()
            await cluster.postgres.restart()
        await load.acknowledged()

    await load.run(attack)


async def test_nats_is_killed_and_started_again(cluster: Cluster):
    await cluster.add(2)
    load = Load(cluster)

    async def attack() -> None:
        for _ in range(2):
            await load.acknowledged()
            await cluster.nats.kill()
            await cluster.nats.restart()
        await load.acknowledged()

    await load.run(attack)


async def test_the_directory_of_jetstream_is_removed(cluster: Cluster):
    await cluster.add(2)
    load = Load(cluster)

    async def attack() -> None:
        await load.acknowledged()
        await cluster.nats.wipe()
        await load.acknowledged()
        await cluster.nats.kill()
        await cluster.nats.wipe()
        await cluster.nats.restart()
        await load.acknowledged()

    await load.run(attack)


async def test_a_host_that_stopped_for_longer_than_its_lease_goes_on(cluster: Cluster):
    zombie, heir = await cluster.add(2)
    load = Load(cluster)

    async def attack() -> None:
        await load.acknowledged()
        zombie.send(signal.SIGSTOP)
        await owns(heir, 64)
        await load.acknowledged()
        zombie.send(signal.SIGCONT)
        await owns(zombie)
        await load.acknowledged()

    await load.run(attack)
