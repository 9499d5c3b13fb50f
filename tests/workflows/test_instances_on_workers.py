"""Recorded executions with scaled-down durations on a host and two workers, on real Postgres and NATS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from actors.workflows.messages import StartWorkflow
from actors.workflows.plan import encode_plan
from actors.workflows.workflow import PublishWorkflow
from events.envelope import Event
from events.store import EventStore
from infra.memory.workflows import planned
from infra.postgres.store import open_store
from tests.servers import Nats
from tests.tasks.world import PATIENCE, Place
from tests.workflows.instances import FOLDER, PATHS, as_plan, check_log, recorded

HERE = Path(__file__).with_name("instances_place")
CRITICAL = 1.0
"""Seconds that the longest path is scaled to."""

pytestmark = pytest.mark.timeout(180)


class Workers(Place):
    """Processes with a workspace of our own."""

    async def start(self, postgres_url: str) -> None:
        """A host and two workers."""
        self._environment["DATABASE_URL"] = postgres_url
        await self._start("host", "--port", "0", "--workspace", str(HERE))
        for _ in range(2):
            await self._start("worker", "--workspace", str(HERE), "--concurrency", "8")


async def story(store: EventStore, stream: str) -> list[Event]:
    """The events of a run, once it has ended."""
    async with asyncio.timeout(PATIENCE):
        while True:
            events = await store.read_stream("default", stream)
            if any(event.type == "RunFinished" for event in events):
                return events
            await asyncio.sleep(0.05)


@pytest.mark.skipif(not PATHS, reason=f"there are no recorded executions in {FOLDER}")
async def test_the_smallest_and_a_middle_one_complete_on_two_workers(
    postgres_url: str, nats_server: Nats, tmp_path: Path
) -> None:
    instances = sorted(map(recorded, PATHS), key=lambda instance: len(instance.parents))
    chosen = [instances[0], instances[len(instances) // 2]]
    async with Workers(postgres_url, nats_server.url, tmp_path) as place, open_store(postgres_url) as store:
        await place.start(postgres_url)
        for number, instance in enumerate(chosen):
            scale = CRITICAL * 1e6 / instance.critical
            plan = as_plan(instance, 16, scale=scale, queue="default")
            plan = planned(msgspec.structs.replace(plan, name=f"instance-{number}"))
            await place.ask(f"workflow/{plan.name}", "PublishWorkflow", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
            await place.ask(f"workflow/{plan.name}", "StartWorkflow", StartWorkflow(f"r{number}"))
            events = await story(store, f"run/r{number}")
            check_log(instance, events, 16, scale=scale, exact=False)
            done = [msgspec.json.decode(event.data) for event in events if event.type == "StepSucceeded"]
            workers = {step["worker"] for step in done}
        assert len(workers) == 2
