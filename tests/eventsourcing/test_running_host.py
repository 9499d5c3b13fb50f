"""An application of the library in a process of its own, and a running host: its events are everybody's."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import msgspec
import nats
import pytest

from gateway.cli.find import Place
from gateway.cli.http import Api, path
from gateway.demo.host import ROOT, HostProcess
from tests.servers import Nats, Postgres, run

LESSON = "from tests.eventsourcing.school import main; main()"

pytestmark = pytest.mark.timeout(180)


class School(msgspec.Struct):
    """A host, and what the application's process printed after it had ended."""

    host: HostProcess
    database_url: str
    nats_url: str
    said: dict[str, Any]

    @property
    def fido(self) -> str:
        return f"es/DogSchool.{self.said['fido']}"

    @property
    def fame(self) -> str:
        return f"es/Gossip.{self.said['fame']}"


def _run(*arguments: str, **environment: str) -> str:
    environment |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def school(postgres_shared: Postgres, workplace: Path) -> Iterator[School]:
    directory = Path(mkdtemp(prefix="es-", dir=workplace))
    server = Nats(directory / "server")
    url = run(postgres_shared.create())
    run(server.start())
    host = HostProcess(directory / "host", database_url=url, nats_url=server.host_url, relay_url=server.url)
    try:
        run(host.__aenter__())
        said = _run("-c", LESSON, PERSISTENCE_MODULE="infra.eventsourcing", DATABASE_URL=url)
        yield School(host, url, server.client_url, json.loads(said))
    finally:
        run(host.stop())
        run(server.stop())
        run(postgres_shared.drop(url))
        rmtree(directory, ignore_errors=True)


@pytest.fixture
async def api(school: School) -> AsyncIterator[Api]:
    async with Api(Place(school.host.url)) as api:
        yield api


def thespis(school: School, *arguments: str) -> str:
    return _run("-m", "gateway.main", *arguments, THESPIS_URL=school.host.url, DATABASE_URL=school.database_url)


async def test_the_application_works_as_over_any_other_persistence_module(school: School) -> None:
    assert (school.said["tricks"], school.said["dogs"]) == (["roll over"], 2)


async def test_its_events_are_listed_with_readable_data(school: School, api: Api) -> None:
    events = (await api.get("/v1/events", {"stream": school.fido}))["events"]
    assert [(e["version"], e["type"]) for e in events] == [
        (1, "tests.eventsourcing.school.Dog.Registered"),
        (2, "tests.eventsourcing.school.Dog.TrickAdded"),
    ]
    assert events[0]["data"]["name"] == "Fido"
    assert events[0]["subject"] == school.said["fido"]
    assert events[0]["source"] == "/default/es/DogSchool"
    assert (events[0]["correlation"], events[0]["causation"]) == ("lesson-1", "the-bell")
    assert events[0]["extensions"]["estopic"] == "tests.eventsourcing.school:Dog.Registered"


async def test_plain_nats_reads_them_off_the_bus(school: School) -> None:
    client = await nats.connect(school.nats_url)
    try:
        facts = await client.jetstream().pull_subscribe("ev.default.es.>", stream="EV")
        found: list[Any] = []
        while len(found) < 7:
            found += await facts.fetch(7 - len(found), timeout=20)
        types = [message.headers["ce-type"].rpartition(".")[2] for message in found]
        assert types.count("Registered") == types.count("TrickAdded") == types.count("Spread") == 2
        first = found[0]
        assert first.subject.startswith("ev.default.es.DogSchool%2E")
        assert json.loads(first.data)["name"] == "Fido"
        assert first.headers["ce-estopic"] == "tests.eventsourcing.school:Dog.Registered"
    finally:
        await client.close()


async def test_they_are_in_the_projections(school: School, api: Api) -> None:
    async def rows(name: str, **query: Any) -> list[dict[str, Any]]:
        return (await api.get(path("projections", name), {"wait": school.said["last"], **query}))["rows"]

    actors = await rows("actors", where="kind=es")
    assert {row["address"] for row in actors} >= {school.fido}
    assert len(await rows("events", where=f"stream={school.fido}")) == 2
    counted = await rows("throughput")
    assert any(row["type"] == "tests.eventsourcing.school.Dog.TrickAdded" for row in counted)


async def test_the_lineage_goes_from_what_was_processed_to_what_came_of_it(school: School, api: Api) -> None:
    await api.get(path("projections", "lineage"), {"wait": school.said["last"] + 1})
    learned = f"{school.said['fido']}.2"
    found = await api.get(path("lineage", learned))
    down = [(event["stream"], event["type"].rpartition(".")[2]) for event in found["down"]]
    assert down == [(school.fame, "Created"), (school.fame, "Spread")]
    assert {event["correlation"] for event in found["down"]} == {found["event"]["correlation"]}
    assert "Fame.Spread" in await asyncio.to_thread(thespis, school, "lineage", learned)


async def test_they_are_shown_and_replayed_without_a_state(school: School) -> None:
    shown = json.loads(await asyncio.to_thread(thespis, school, "actors", "show", school.fido, "-o", "json"))
    assert (shown["version"], shown["state"]) == (2, None)
    replayed = await asyncio.to_thread(thespis, school, "replay", school.fido, "-o", "json")
    assert [step["event"]["version"] for step in json.loads(replayed)] == [1, 2]
    assert "Dog.TrickAdded" in await asyncio.to_thread(thespis, school, "replay", school.fido)
    assert school.fame in await asyncio.to_thread(thespis, school, "actors", "list")


async def test_the_log_verifies_with_them_in_it(school: School) -> None:
    assert "verified" in await asyncio.to_thread(thespis, school, "replay", "--verify")
    await asyncio.to_thread(thespis, school, "log", "verify")


async def test_nobody_tells_them_anything(school: School, api: Api) -> None:
    from events.errors import Forbidden

    with pytest.raises(Forbidden, match="takes no messages"):
        await api.post(path("actors", *school.fido.split("/", 1), "tell"), {"message": "Sit", "data": {}})
