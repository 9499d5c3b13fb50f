"""Whole runs whose steps are performed by workers that are killed and stopped."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.workflows.plan import encode_plan
from events.address import DEFAULT_TENANT
from events.envelope import Event
from infra.postgres.store import open_store
from tests.servers import Nats
from tests.tasks.world import PATIENCE, Place, stop
from tests.workflows.engine_world import graph, plan, task


@pytest.fixture
async def place(postgres_url: str, nats_server: Nats, tmp_path: Path) -> AsyncIterator[Place]:
    async with Place(postgres_url, nats_server.url, tmp_path) as made:
        yield made


async def start(place: Place, *names: str) -> None:
    """A run `run/1` of steps one after the other, on workers."""
    steps = [
        task(step=name, name="outside", queue="default", effect_class="keyed", input={}, needs=names[n - 1 : n])
        for n, name in enumerate(names)
    ]
    plan_ = msgspec.Raw(encode_plan(plan(graph(*steps))))
    await place.ask("run/1", "StartRun", {"plan": plan_})


async def ended(place: Place) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while True:
            state: dict[str, Any] = (await place.client.view(DEFAULT_TENANT, "run/1")).state
            if state["status"] not in ("new", "running"):
                return state
            await asyncio.sleep(0.05)


async def story(url: str, type: str) -> list[Event]:
    async with open_store(url, migrated=True) as store:
        return [e for e in await store.read(0, 10_000) if e.stream == "run/1" and e.type == type]


async def test_a_killed_worker_costs_a_step_no_attempt(place: Place, postgres_url: str) -> None:
    place.outside.hold = True
    await place.host()
    worker = await place.worker()
    await start(place, "a", "b")
    await place.outside.called("run/1/a")
    stop(worker, signal.SIGKILL)
    await place.worker()
    await place.outside.called("run/1/a", 2)
    place.outside.release()
    assert (await ended(place))["status"] == "succeeded"
    queued = [msgspec.json.decode(e.data) for e in await story(postgres_url, "StepQueued")]
    assert [(e["step"], e["attempt"]) for e in queued] == [("a", 1), ("b", 1)]
    assert place.outside.calls == {"run/1/a": 2, "run/1/b": 1}


async def test_a_late_result_is_recorded_by_the_run_and_not_applied(place: Place, postgres_url: str) -> None:
    place.outside.hold = True
    await place.host()
    sleeper = await place.worker()
    await start(place, "a")
    await place.outside.called("run/1/a")
    stop(sleeper, signal.SIGSTOP)
    await place.worker()
    await place.outside.called("run/1/a", 2)
    place.outside.release()
    assert (await ended(place))["status"] == "succeeded"
    stop(sleeper, signal.SIGCONT)
    async with asyncio.timeout(PATIENCE):
        while not (late := await story(postgres_url, "LateResult")):
            await asyncio.sleep(0.1)
    assert [msgspec.json.decode(e.data)["step"] for e in late] == ["a"]
    assert len(await story(postgres_url, "StepSucceeded")) == 1
    assert (await ended(place))["status"] == "succeeded"
