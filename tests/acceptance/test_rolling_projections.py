"""A rolling deploy of a projection's new version, with real processes: the old rows go on, the new ones take over."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.acceptance.cluster import Cluster
from tests.projections.scenes import eventually

pytestmark = pytest.mark.timeout(120)

WORKSPACE = """
from actors import Plugin
from projections import Projection, Table

TABLE = Table("totals", {"tenant": str, "stream": str, "total": int}, key=("tenant", "stream"))


def apply(rows, event, data):
    row = rows.get(TABLE, event.tenant, event.stream) or {"tenant": event.tenant, "stream": event.stream, "total": 0}
    row["total"] += VERSION
    rows.put(TABLE, row)


plugin = Plugin(projections=[Projection(
    "totals", VERSION, tables=[TABLE], types=["Counted"], apply=apply, reads=("tenant", "stream"),
    keys=lambda event, data: [(TABLE, (event.tenant, event.stream))],
)])
"""


def workspace(directory: Path, version: int) -> Path:
    directory.mkdir()
    (directory / "workspace.py").write_text(f"VERSION = {version}\n{WORKSPACE}")
    return directory


class Door:
    """One host's door."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def get(self, path: str) -> Any:
        async with self._session.get(self._url + path) as response:
            body = await response.json()
            assert response.status == 200, body
            return body

    async def post(self, path: str, body: Any) -> Any:
        async with self._session.post(self._url + path, json=body, headers={"Prefer": "wait=30"}) as response:
            answer = await response.json()
            assert response.status < 300, answer
            return answer

    async def publish(self, number: int) -> int:
        event = {"specversion": "1.0", "id": str(number), "source": "/count", "type": "Counted", "data": {}}
        async with self._session.post(
            self._url + "/v1/events", json=event, headers={"Content-Type": "application/cloudevents+json"}
        ) as response:
            return (await response.json())["events"][0]["position"]

    async def total(self, wait: int) -> tuple[int, int]:
        """(version, total) once `wait` is seen."""
        page = await self.get(f"/v1/projections/totals?wait={wait}")
        assert page["position"] >= wait
        return page["version"], sum(row["total"] for row in page["rows"])


async def test_an_old_and_a_new_host_build_switch_and_switch_back(cluster: Cluster, tmp_path: Path) -> None:
    (old_host,) = await cluster.add(1, workspace(tmp_path / "old", 1))
    async with aiohttp.ClientSession() as session:
        old = Door(session, old_host.url)
        count = 0
        version = 0

        async def publish(door: Door) -> int:
            nonlocal count
            count += 1
            return await door.publish(count)

        for _ in range(20):
            position = await publish(old)
        assert await old.total(position) == (1, 20)
        (new_host,) = await cluster.add(1, workspace(tmp_path / "new", 2))
        new = Door(session, new_host.url)

        async def switched() -> bool:
            nonlocal version
            version, total = await new.total(await publish(old))
            assert total == version * count
            return version == 2

        await eventually(switched, 60)
        builds = (await old.get("/v1/projections/totals/builds"))["builds"]
        assert [(b["version"], b["state"]) for b in builds] == [(1, "standby"), (2, "live")]
        switch = {"to": builds[0]["build"], "reason": "not what was wanted"}
        position = await publish(new)
        assert (await new.post("/v1/projections/totals/switch", switch))["to_version"] == 1
        for door in (old, new):
            position = await publish(door)
            for asked in (old, new):
                assert await asked.total(position) == (1, count)

        async def told() -> bool:
            events = (await old.get("/v1/events?type=ProjectionSwitched"))["events"]
            return [(e["data"]["from_version"], e["data"]["to_version"]) for e in events] == [(1, 2), (2, 1)]

        await eventually(told, 30)
        for door in (old, new):
            found = {c["name"]: c for c in (await door.get("/v1/consumers"))["consumers"]}
            assert {"relay", "spool", "totals", "events"} <= set(found)
            assert all(isinstance(c["lag"], int) for c in found.values())
        await asyncio.gather(old_host.stop(), new_host.stop())
