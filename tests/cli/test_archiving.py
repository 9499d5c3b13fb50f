"""`thespis log status`, `archive` and `prune` on a real Postgres, and what their options mean."""

from __future__ import annotations

import json
from time import time_ns

import pytest

from events.errors import Invalid
from gateway.cli.archiving import DAY, moment, position_at
from infra.memory.store import MemoryStore
from infra.postgres import open_store
from tests.cli.conftest import Thespis
from tests.contract.store_harness import handled, put, write
from tests.servers import run


def test_a_time_is_an_age_or_a_date() -> None:
    now = time_ns() // 1000
    assert now - 30 * DAY <= moment("30d") <= now - 30 * DAY + DAY
    assert now - DAY <= moment("24h") <= now
    assert moment("2026-11-23") == moment("2026-11-23T00:00:00Z") == 1_795_392_000_000_000
    for text in ("", "30", "yesterday", "-3d"):
        with pytest.raises(Invalid, match="no time"):
            moment(text)


async def test_a_time_is_found_in_the_log() -> None:
    now = [0]
    store = MemoryStore(now=lambda: now[0])
    assert await position_at(store, 100) == 0
    for n in range(1, 21):
        now[0] = n * 10
        await put(store, write("a/1", n - 1))
    assert [await position_at(store, time) for time in (0, 10, 11, 95, 200, 201)] == [0, 0, 1, 9, 19, 20]


def test_the_log_is_archived_and_pruned_from_the_command_line(thespis: Thespis, postgres_url: str) -> None:
    async def fill() -> None:
        async with open_store(postgres_url) as store:
            await put(store, write("a/1", 0, 9, handled=[handled(1), handled(2, guarded=True)]))

    run(fill())
    assert thespis("log", "archive", DATABASE_URL=postgres_url).returncode == 2
    done = thespis("log", "archive", "--before", "6", DATABASE_URL=postgres_url)
    assert (done.returncode, done.stdout.decode()) == (0, "archived 5 of positions 1 to 5\n"), done.stderr
    done = thespis("log", "archive", "--older-than", "1", DATABASE_URL=postgres_url)
    assert done.stdout.decode() == "nothing is that old\n"
    done = thespis("log", "prune", "--before", "0h", "-o", "json", DATABASE_URL=postgres_url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"deleted": 1, "expired": 1, "blobs": 0, "strikes": 0, "hashes": 0}
    done = thespis("log", "status", "-o", "json", DATABASE_URL=postgres_url)
    status = json.loads(done.stdout)
    assert (status["head"], status["archived"], status["archived_upto"], status["rows"]["events"]) == (9, 5, 5, 4)
    assert thespis("log", "status", DATABASE_URL=postgres_url).stdout.startswith(b"head")
    assert thespis("log", "prune", "--before", "soon", DATABASE_URL=postgres_url).returncode == 4
