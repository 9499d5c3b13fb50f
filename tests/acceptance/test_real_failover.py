"""Postgres fails over to a standby that was promoted: whatever was acknowledged is there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import pytest

from gateway.torture.real import Stage
from gateway.torture.real_load import Load
from tests.acceptance.standby import Standby, both
from tests.acceptance.test_real_faults import judged
from tests.servers import PASSWORD, SAFE

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def standby(stage: Stage, place: Path):
    server = Standby(
        place / "standby" / "postgres",
        password=PASSWORD,
        admin_password=PASSWORD,
        log=place / "standby.log",
        settings=SAFE,
    )
    server.directory.parent.mkdir()
    server.attach(stage.postgres)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.mark.parametrize("hosts", [2])
async def test_nothing_acknowledged_is_lost_when_a_standby_takes_over(stage: Stage, standby: Standby, hosts: int):
    await standby.follow()
    stage.database_url = both(stage.postgres, standby)
    await stage.add(hosts)
    load = Load(stage, seed=3)

    async def attack() -> None:
        await load.acknowledged(200)
        async with load.fault("failover to a standby"):
            await stage.postgres.kill()
            await standby.promote()
            stage.postgres = standby
        await load.acknowledged(200)

    judged(await load.run(attack))


@pytest.mark.long
async def test_while_the_standby_is_away_nothing_is_acknowledged_and_then_everything(stage: Stage, standby: Standby):
    await standby.follow()
    await stage.add(2)
    load = Load(stage, seed=4)

    async def attack() -> None:
        await load.acknowledged(100)
        async with load.fault("the standby was away"):
            await standby.kill()
            before = load.count
            end = monotonic() + 12  # longer than any transaction of ours may take
            while monotonic() < end:
                assert load.count - before <= 24, "acknowledged without the standby"
                await asyncio.sleep(0.2)
            await standby.start()
        await load.acknowledged(200)

    judged(await load.run(attack))
