"""Postgres cannot go on, or others use it in ways that have brought down other systems."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import aiohttp
import pytest

from gateway.torture import faults_postgres
from gateway.torture.faults_wire import Strike
from gateway.torture.real import Stage
from gateway.torture.real_load import Load
from tests.acceptance.test_real_faults import judged
from tests.servers import Nats, Postgres, served

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of its own, of 192 MB."""
    path = place / "disk"
    path.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", path], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"a full disk needs a file system of its own: {made.stderr.strip()}")
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.fixture
def cramped(small_disk: Path, postgres_seed: Path) -> Iterator[Postgres]:
    """A Postgres on it."""
    with served(Postgres(small_disk / "pg", safe=True, seed=postgres_seed)) as server:
        yield server


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Nothing more fits on it, for a while."""
    ballast = disk / "ballast"
    try:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 65536)
        yield
    finally:
        ballast.unlink()


async def said_to_be(url: str, code: str) -> str:
    """Wait until somebody who asks is told that; returns the words."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            body = {"message": "Do", "data": {"n": 10**9}}
            async with session.post(f"{url}/v1/actors/clerk/0/ask", json=body) as response:
                problem = await response.json()
            if response.status == 503 and problem["code"] == code:
                return problem["detail"]
            await asyncio.sleep(0.05)


async def test_whoever_asks_while_postgres_is_gone_is_told_so_and_does_not_wait_for_nothing(
    postgres_server: Postgres, nats_server: Nats, tmp_path: Path
):
    async with Stage(postgres_server, nats_server.embedded, tmp_path) as stage, aiohttp.ClientSession() as session:
        await stage.add(1)
        url = stage.hosts[0].url

        async def told() -> str:
            body = {"message": "Do", "data": {"n": 1}}
            async with session.post(f"{url}/v1/actors/clerk/0/ask", json=body) as response:
                return "" if response.status == 200 else (await response.json())["code"]

        async def owned() -> bool:
            async with session.get(f"{url}/metrics") as response:
                return "thespis_partitions_owned 0" not in await response.text()

        assert await told() == ""
        await postgres_server.kill()
        async with asyncio.timeout(60):
            while await owned():  # as long as the lease lasts; a commit may have been under way
                assert await told() in ("store-unavailable", "outcome-unknown")
        assert await told() == "store-unavailable"
        await postgres_server.restart()
        async with asyncio.timeout(60):
            while await told() != "":
                await asyncio.sleep(0.05)


async def test_a_full_disk_is_said_and_once_there_is_room_everything_goes_on(
    cramped: Postgres, small_disk: Path, nats_server: Nats, tmp_path: Path
):
    async with Stage(cramped, nats_server.embedded, tmp_path) as stage:
        await stage.add(1)
        load = Load(stage, seed=5)

        async def attack() -> None:
            await load.acknowledged(100)
            async with load.fault("full disk"):
                with full(small_disk):
                    await said_to_be(stage.hosts[0].url, "store-unavailable")
                if not cramped.running:  # it could not write its own log either
                    await cramped.start()
            await load.acknowledged(200)

        judged(await load.run(attack))


async def tailing(url: str, seen: list[int]) -> None:
    """A reader of the live stream: the positions it gets, each the next."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{url}/v1/events/stream") as response:
        async for line in response.content:
            if line.startswith(b"id: "):
                position = int(line[4:])
                assert not seen or position == seen[-1] + 1
                seen.append(position)


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.long)])
async def test_transactions_of_others_stall_neither_appends_nor_those_who_tail(stage: Stage, seconds: int):
    await stage.add(2)
    load = Load(stage, seed=6)
    seen: list[int] = []

    async def attack() -> None:
        tail = asyncio.create_task(tailing(stage.hosts[0].url, seen))
        try:
            await load.acknowledged(100)
            async with (
                load.fault(f"others in transactions for {seconds} s"),
                faults_postgres.foreign_write(stage.postgres),
                faults_postgres.idle_in_transaction(stage.postgres),
                faults_postgres.long_snapshot(stage.postgres),
            ):
                end = monotonic() + seconds
                while monotonic() < end:
                    behind = len(seen)
                    await load.acknowledged(50)
                    async with asyncio.timeout(30):
                        while len(seen) < behind + 50:
                            await asyncio.sleep(0.02)
        finally:
            tail.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await tail

    judged(await load.run(attack))


@pytest.mark.long
async def test_an_append_that_is_never_answered_is_given_up_and_found_in_the_inbox(stage: Stage):
    await stage.add(2)
    load = Load(stage, seed=7)

    async def attack() -> None:
        await load.acknowledged(100)
        async with load.fault("a wire that is silent"):
            silence = stage.wire.strike(Strike("silent"))
            await silence.struck.wait()
            await load.acknowledged(500)
            silence.release.set()

    judged(await load.run(attack))
