"""Recovery of a host that died with a great many actors waiting for the world: in order, in time, nothing repeated."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from time import monotonic

import psutil
import pytest

from gateway.cli.find import Place
from gateway.cli.http import Api
from gateway.proof import LogProof, verdict, witness
from gateway.torture.faults_postgres import session
from gateway.torture.real import Stage

pytestmark = pytest.mark.timeout(900)

HERE = Path(__file__).parent / "ramp"
TOGETHER = 500


async def open_effects(stage: Stage) -> int:
    async with session(stage.postgres.url) as connection:
        return await connection.fetchval("select count(*) from thespis.effects where not delivered")


@pytest.mark.parametrize("actors", [pytest.param(2_000), pytest.param(100_000, marks=pytest.mark.long)])
async def test_a_host_that_died_with_many_open_effects_takes_them_up_once_each(
    stage: Stage, tmp_path: Path, actors: int
):
    (host,) = await stage.add(1, HERE, {"THESPIS_RAMP": str(tmp_path)})
    began = monotonic()
    async with Api(Place(host.url), timeout=120) as api:
        for first in range(0, actors, TOGETHER):
            body = {"message": "Start", "data": {"first": first, "number": TOGETHER}}
            await api.post(f"/v1/actors/starter/{first}/ask", body, key="start")
    async with asyncio.timeout(600):
        while await open_effects(stage) < actors:
            await asyncio.sleep(0.2)
    loaded = monotonic() - began
    await host.kill()
    (tmp_path / "gate").touch()
    began = monotonic()
    host.start()
    await host.ready()
    ready = monotonic() - began
    assert host.process is not None
    process, memory = psutil.Process(host.process.pid), 0
    async with asyncio.timeout(600):
        while await open_effects(stage):
            memory = max(memory, process.memory_info().rss)
            await asyncio.sleep(0.2)
    settled = monotonic() - began
    calls = Counter((tmp_path / "calls").read_text().split())
    assert len(calls) == actors
    assert set(calls.values()) == {1}
    async with stage.store() as store:
        checks = await witness(store, LogProof())
        assert all(check.passed for check in checks), "\n".join(verdict(checks))
    print(json.dumps({
        "case": "recovery ramp", "actors": actors, "load_s": round(loaded, 1), "ready_s": round(ready, 1),
        "settled_s": round(settled, 1), "effects_per_s": round(actors / (settled - ready)),
        "memory_mb": round(memory / 1e6),
    }))  # fmt: skip
