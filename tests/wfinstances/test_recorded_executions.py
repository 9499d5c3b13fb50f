"""Real executions, published event by event from outside: what was folded from them agrees with the recordings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from time import monotonic
from typing import Any

import msgspec
import pytest

from events.envelope import Event
from gateway.cli.find import Place
from gateway.cli.http import Api, path
from gateway.proof import LogProof, verdict, witness
from infra.postgres.store import open_store
from tests.wfinstances.conftest import WORKSPACE, Published

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def api(published: Published) -> AsyncIterator[Api]:
    async with Api(Place(published.host.url)) as api:
        await completed(api, published)
        yield api


async def completed(api: Api, published: Published) -> None:
    """Wait until every workflow has heard of its last task."""
    deadline = monotonic() + 60
    for name in published.recordings:
        while (await state(api, name))["makespan"] is None:
            assert monotonic() < deadline, f"{name} does not complete: {await state(api, name)}"
            await asyncio.sleep(0.05)


async def state(api: Api, name: str, at: int | None = None) -> dict[str, Any]:
    return (await api.get(path("actors", "execution", name), {"at": at}))["state"]


async def schedule(api: Api, name: str, wait: int) -> list[dict[str, Any]]:
    query = {"where": f"workflow={name}", "limit": 1000, "wait": wait}
    return (await api.get(path("projections", "schedule"), query))["rows"]


async def test_every_event_is_acknowledged_once_and_in_order(published: Published, api: Api):
    count = sum(1 + 2 * len(recording.tasks) for recording in published.recordings.values())
    positions = [answer["position"] for answer in published.answers]
    assert len(positions) == count
    assert all(before < after for before, after in pairwise(positions))


async def test_published_again_every_event_keeps_its_position(published: Published, api: Api):
    name = min(published.recordings, key=lambda name: len(published.recordings[name].tasks))
    source = published.recordings[name].source
    again = await asyncio.to_thread(published.publish, name)
    assert again == [answer for answer in published.answers if answer["source"] == source]


async def test_the_projection_shows_the_recorded_machines_runtimes_and_dependencies(published: Published, api: Api):
    last = max(answer["position"] for answer in published.answers)
    for name, recording in published.recordings.items():
        rows = {row["task"]: row for row in await schedule(api, name, last)}
        assert rows.keys() == recording.tasks.keys()
        for task in recording.tasks.values():
            row = rows[task.id]
            assert (row["machine"], row["ended"] - row["started"]) == (task.machine, task.runtime)
            assert all(rows[parent]["ended"] <= row["started"] for parent in task.parents)
        makespan = max(row["ended"] for row in rows.values()) - min(row["started"] for row in rows.values())
        assert makespan == recording.length <= recording.makespan


async def test_each_workflow_knows_its_makespan_and_saw_no_task_before_its_time(published: Published, api: Api):
    for name, recording in published.recordings.items():
        found = await state(api, name)
        assert (found["makespan"], found["running"], found["early"]) == (recording.length, {}, [])
        assert found["ended"] == {task.id: task.end for task in recording.tasks.values()}
        assert sum(found["busy"].values()) == sum(task.runtime for task in recording.tasks.values())


async def test_lineage_leads_from_the_end_along_the_critical_path_to_the_submission(published: Published, api: Api):
    for name, recording in published.recordings.items():
        query = {"stream": f"execution/{name}", "type": "Completed", "limit": 10}
        (end,) = (await api.get("/v1/events", query))["events"]
        lineage = await api.get(path("lineage", end["id"]), {"limit": 1000, "wait": end["position"]})
        ups = [node["id"] for node in lineage["up"]]
        assert ups[-1] == "submitted"
        assert [node["id"] for node in lineage["roots"]] == ["submitted"]
        tasks = [id_.removesuffix(":ended") for id_ in ups if id_.endswith(":ended")]
        assert [f"{task}:started" for task in tasks] == [id_ for id_ in ups if id_.endswith(":started")]
        assert sum(recording.tasks[task].runtime for task in tasks) == recording.length
        for task, before in pairwise(tasks):
            assert before in recording.tasks[task].parents


async def test_the_past_of_a_workflow_is_what_its_events_say(published: Published, api: Api):
    async with open_store(published.database_url, migrated=True) as store:
        for name in published.recordings:
            events = await store.read_stream("default", f"execution/{name}")
            for version in sorted({1, 2, len(events) // 3, len(events) // 2, len(events)}):
                assert await state(api, name, version) == folded(events[:version])


async def test_today_s_code_folds_the_history_into_the_states_that_were(published: Published, api: Api):
    found = await asyncio.to_thread(
        published.thespis, "replay", "--verify", "--workspace", str(WORKSPACE), "-o", "json"
    )
    verified = json.loads(found)
    assert (verified["well"], verified["divergences"]) == (True, [])
    assert verified["hashes"] > 0


async def test_a_replay_goes_through_the_history_task_by_task(published: Published, api: Api):
    name = min(published.recordings, key=lambda name: len(published.recordings[name].tasks))
    place = ["--url", published.host.url, "-o", "jsonl"]
    lines = await asyncio.to_thread(published.thespis, "replay", f"execution/{name}", *place)
    steps = [json.loads(line) for line in lines.splitlines()]
    assert steps[-1]["state"] == await state(api, name)
    recorded = published.recordings[name].tasks
    assert {s["event"]["data"]["task"] for s in steps if s["event"]["type"] == "Began"} == recorded.keys()


def folded(events: list[Event]) -> dict[str, Any]:
    """By hand, and not by the code of the workspace."""
    state: dict[str, Any] = {"tasks": 0, "running": {}, "ended": {}, "busy": {}, "early": [], "makespan": None}
    for event in events:
        data = msgspec.json.decode(event.data)
        if event.type == "Submitted":
            state["tasks"] = data["tasks"]
        elif event.type == "Began":
            state["running"][data["task"]] = data["at"]
        elif event.type == "Ended":
            del state["running"][data["task"]]
            state["ended"][data["task"]] = data["at"]
            state["busy"][data["machine"]] = state["busy"].get(data["machine"], 0) + data["runtime"]
        elif event.type == "Completed":
            state["makespan"] = data["makespan"]
    return state


async def test_the_log_is_sound(published: Published, api: Api):
    async with open_store(published.database_url, migrated=True) as store:
        checks = await witness(store, LogProof())
    assert all(check.passed for check in checks), "\n".join(verdict(checks))
