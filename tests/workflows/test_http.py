"""Workflows over HTTP, on a real host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.host import HostProcess
from tests.servers import Postgres
from tests.workflows.world import Door, door, host

pytestmark = pytest.mark.timeout(180)

REVIEW = """
name: review
steps:
  draft: {value: {text: hello}}
  ask: {needs: [draft], approve: {what: "${ steps.draft.output }", title: Publish this?}}
  done: {needs: [ask], value: 1}
"""


@pytest.fixture(scope="module")
def served(postgres_shared: Postgres, workplace: Path) -> Iterator[HostProcess]:
    with host(postgres_shared, workplace) as process:
        yield process


@pytest.fixture
async def site(served: HostProcess) -> AsyncIterator[Door]:
    async with door(served.url) as found:
        await found.until("/v1/workflows", holds=lambda page: page["workflows"] and page["broken"])
        yield found


async def test_a_workspace_brings_its_definitions_and_a_broken_one_tells_everything(site: Door) -> None:
    found = await site.get("/v1/workflows")
    assert "doubling" in [one["name"] for one in found["workflows"]]
    (broken,) = found["broken"]
    assert broken["file"].endswith("broken.workflow.yaml")
    assert {(one["line"], one["column"] > 0) for one in broken["problems"]} == {(3, True), (4, True)}


async def test_a_run_is_started_and_waited_for(site: Door) -> None:
    run = await site.start("doubling", n=3)
    assert (run["status"], run["outputs"], run["inputs"]) == ("succeeded", {"n": 12}, {"n": 3, "most": 100})
    assert run["steps"] == {"succeeded": 2}
    shown = await site.get(f"/v1/runs/{run['run']}")
    assert shown["outputs"] == {"n": 12}
    listed = await site.get("/v1/runs?workflow=doubling&status=succeeded")
    assert run["run"] in [one["run"] for one in listed["runs"]]
    assert listed["counts"]["succeeded"] >= 1
