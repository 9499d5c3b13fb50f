"""Real hosts, a real Postgres and a real NATS: after an erasure the planted words are nowhere on the disk."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import asyncpg
import msgspec
import pytest
from nats import connect
from nats.errors import Error as NatsError

from gateway.demo.host import ROOT
from infra.embedded.postgres import programs
from tests.acceptance.cluster import Cluster
from tests.erasure.search import files_with
from tests.servers import Nats, Postgres

WORKSPACE = Path(__file__).parent / "workspace"
EMAIL = "ada.lovelace+1815@example.org"
NOTE = "prefers-letters-to-calls-1843"
FEED = "countess.of.lovelace@example.net"
OTHER = "charles.babbage-1791@example.org"
SPOOLED = "augusta.king+spool@example.com"
PLANTED = [EMAIL, NOTE, FEED, SPOOLED]


@pytest.fixture
async def cluster(postgres_server: Postgres, nats_server: Nats, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Cluster(postgres_server, nats_server, tmp_path / "hosts") as cluster:
        yield cluster


def settings(folder: Path) -> dict[str, str]:
    return {
        "THESPIS_MASTER_KEY_FILE": str(folder / "vault" / "master.key"),
        "THESPIS_ERASURES_FILE": str(folder / "vault" / "erasures.jsonl"),
    }


class Site:
    """One host's door."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http, self.url = http, url

    async def get(self, path: str, **query: Any) -> Any:
        async with self.http.get(self.url + path, params=query) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def post(self, path: str, body: Any, **headers: str) -> Any:
        async with self.http.post(self.url + path, json=body, headers=headers) as answer:
            assert answer.status in (200, 202), await answer.text()
            return await answer.json()

    async def plant(self) -> int:
        notes = [{"who": "p1", "text": NOTE}]
        register = {"message": "Register", "data": {"who": "p1", "email": EMAIL, "notes": notes}}
        other = {"message": "Register", "data": {"who": "p2", "email": OTHER}}
        for n in range(5):
            await self.post(f"/v1/actors/book/{n}/ask", register, **{"Idempotency-Key": f"k{n}"})
        await self.post("/v1/actors/book/0/ask", other)
        await self.post("/v1/actors/book/0/ask", {"message": "Look", "data": {"who": "p1"}})
        outside = {"specversion": "1.0", "id": "1", "source": "/forms/1", "type": "Registered",
                   "data": {"who": "p1", "email": FEED}}  # fmt: skip
        done = await self.post("/v1/events", outside, **{"Content-Type": "application/cloudevents+json"})
        return done["events"][0]["position"]

    async def emails(self, position: int) -> set[str]:
        return {row["email"] for row in (await self.get("/v1/projections/people", wait=position))["rows"]}

    async def note_rows(self) -> None:
        """Have the words noted beside the rows: as a parked key, a decision about one, a build that is set aside."""
        deadline = monotonic() + 30
        while not (parked := (await self.get("/v1/projections/strict/parked"))["parked"]):
            assert monotonic() < deadline
            await asyncio.sleep(0.1)
        assert EMAIL in parked[0]["error"]
        decision = {"key": EMAIL, "action": "retry", "reason": f"{EMAIL} says it is right"}
        await self.post("/v1/projections/strict/parked", decision)
        await self.post("/v1/projections/strict/rebuild", {})

    async def settled(self) -> int:
        """The head, once everybody who was told has handled it."""
        deadline, last, since = monotonic() + 60, -1, monotonic()
        while monotonic() < deadline:
            head = (await self.get("/v1/events", limit=1))["head"] if last < 0 else last
            page = await self.get("/v1/events", after=head, limit=1000)
            newest = page["events"][-1]["position"] if page["events"] else head
            if newest != last:
                last, since = newest, monotonic()
            elif monotonic() - since > 1.0:
                return last
            await asyncio.sleep(0.1)
        raise AssertionError("it never settles")


UNSEALED = ("--exclude-table", "thespis.p_*", "--exclude-table", "thespis.projection_*")
"""Read models hold what is personal in the clear."""


async def spool(nats: Nats, email: str, **more: str) -> None:
    """Leave an event with a person in it to the broker."""
    client = await connect(nats.client_url)
    data = msgspec.json.encode({"who": "p1", "email": email})
    headers = {
        "ce-specversion": "1.0",
        "ce-id": str(len(more)),
        "ce-source": "/forms/2",
        "ce-type": "Registered",
    } | more
    deadline = monotonic() + 30
    while True:
        try:
            await client.jetstream().publish(f"spool.default.{headers['ce-type']}", data, headers=headers)
            break
        except NatsError:
            assert monotonic() < deadline
            await asyncio.sleep(0.1)
    await client.close()


def dump(url: str, to: Path, *options: str) -> bytes:
    done = subprocess.run(
        [programs() / "pg_dump", *options, "--file", to, url], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return to.read_bytes()


def restore(url: str, dump: Path) -> None:
    done = subprocess.run(
        [programs() / "pg_restore", "--dbname", url, dump], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()


def thespis(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "gateway.main", *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment}, cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


async def test_nothing_of_an_erased_person_is_left_anywhere(cluster: Cluster, tmp_path: Path) -> None:
    keys = settings(tmp_path)
    hosts = await cluster.add(2, WORKSPACE, **keys)
    url = cluster.database_url
    old_dump = tmp_path / "before.dump"
    async with aiohttp.ClientSession() as http:
        site, second = Site(http, hosts[0].url), Site(http, hosts[1].url)
        await site.plant()
        await site.post("/v1/actors/book/3/park", {"reason": "to see mail wait"})
        await spool(cluster.nats, "nobody", **{"ce-subject": "book/3", "ce-type": "Look"})
        await spool(cluster.nats, SPOOLED)  # second: a stream that is empty in between begins a new file
        position = await site.settled()
        assert await site.emails(position) <= {EMAIL, FEED, SPOOLED, OTHER}
        assert files_with([SPOOLED], cluster.nats.directory)  # taken, but left beside what waits
        await site.post("/v1/actors/book/3/resume", {"reason": "seen"})
        await site.note_rows()

        # Before: sealed in the log, on the bus, in messages, and in what is exported; in the clear only in projections.
        text = dump(url, tmp_path / "log.sql", "--schema", "thespis", *UNSEALED)
        assert b"p1" in text
        assert files_with([*PLANTED, OTHER], tmp_path / "log.sql", tmp_path / "hosts") == []
        assert files_with([EMAIL, NOTE, FEED, OTHER], cluster.nats.directory) == []
        (tmp_path / "log.sql").unlink()
        old_dump.write_bytes(dump(url, tmp_path / "x", "--format", "custom", "--schema", "thespis", *UNSEALED))
        (tmp_path / "x").unlink()
        state = await second.get("/v1/actors/book/0")
        assert state["state"]["people"] == {"p1": EMAIL, "p2": OTHER}
        verified = thespis("replay", "--verify", "--workspace", str(WORKSPACE), DATABASE_URL=url, **keys)
        assert verified.returncode == 0, verified.stdout + verified.stderr

        shown = thespis("subjects", "show", "p1", "-o", "json", THESPIS_URL=site.url)
        assert shown.returncode == 0, shown.stderr
        erased = thespis(
            "subjects", "erase", "p1", "--reason", "asked for", "--yes", "-o", "json", THESPIS_URL=second.url
        )
        assert erased.returncode == 0, erased.stderr
        assert '"left":[]' in erased.stdout.replace(" ", "").replace("\n", ""), erased.stdout

        for door in (site, second):
            assert (await door.get("/v1/actors/book/0"))["state"]["people"] == {"p1": {"$erased": True}, "p2": OTHER}
        assert await site.emails(position) == {"(erased)", OTHER}
        again = await site.post("/v1/actors/book/0/ask", {"message": "Look", "data": {"who": "p1"}})
        assert again["reply"]["email"] == {"$erased": True}
        verified = thespis("replay", "--verify", "--workspace", str(WORKSPACE), "-o", "json", DATABASE_URL=url, **keys)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert msgspec.json.decode(verified.stdout)["hashes"] > 0
        proven = thespis("log", "verify", DATABASE_URL=url)
        assert proven.returncode == 0, proven.stdout + proven.stderr
        for name in ("people", "strict"):
            builds = (await second.get(f"/v1/projections/{name}/builds"))["builds"]
            assert [build["state"] for build in builds] == ["live"]  # no standby is left
        exported = thespis("log", "export", str(tmp_path / "export.ndjson"), DATABASE_URL=url)
        assert exported.returncode == 0, exported.stderr
    for host in hosts:
        assert await host.stop() == 0
    dump(url, tmp_path / "after.sql")
    await cluster.postgres.stop()
    assert files_with(PLANTED, tmp_path, cluster.postgres.directory.parent, cluster.nats.directory.parent) == []
    assert files_with([OTHER], cluster.postgres.directory)  # the search does find what is still there
    await cluster.postgres.start()


async def test_a_restored_dump_is_erased_again(cluster: Cluster, tmp_path: Path) -> None:
    keys = settings(tmp_path)
    [host] = await cluster.add(1, WORKSPACE, **keys)
    old = tmp_path / "old.dump"
    async with aiohttp.ClientSession() as http:
        site = Site(http, host.url)
        await site.plant()
        await site.settled()
        options = ("--format", "custom", "--schema", "thespis")
        dump(cluster.database_url, old, *options)
        await site.post("/v1/subjects/p1/erase", {"reason": "asked for"}, Prefer="wait=30")
    await host.stop()
    connection = await asyncpg.connect(cluster.database_url)
    await connection.execute("drop schema thespis cascade")
    await connection.close()
    restore(cluster.database_url, old)
    host.start()
    await host.ready()
    async with aiohttp.ClientSession() as http:
        site = Site(http, host.url)
        assert (await site.get("/v1/actors/book/0"))["state"]["people"] == {"p1": {"$erased": True}, "p2": OTHER}
        deadline = monotonic() + 60
        while await site.emails(0) != {"(erased)", OTHER}:
            assert monotonic() < deadline
            await asyncio.sleep(0.2)


async def test_another_master_key_is_refused_and_said(cluster: Cluster, tmp_path: Path) -> None:
    [host] = await cluster.add(1, WORKSPACE, **settings(tmp_path))
    async with aiohttp.ClientSession() as http:
        await Site(http, host.url).plant()
    await host.stop()
    (tmp_path / "vault" / "master.key").unlink()
    host.start()
    with pytest.raises(Exception, match="master key"):
        await host.ready()
