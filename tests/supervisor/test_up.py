"""`thespis up`, with a host process that only answers /readyz, and real servers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import asyncpg
import msgspec
import nats
import psutil
import pytest

from events.errors import Conflict, StoreUnavailable, Unavailable
from gateway.supervisor import Running, up
from tests.supervisor.conftest import Supervise

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(place: Path) -> Path:
    return place / "data"


def alive() -> set[psutil.Process]:
    """Processes below this one, those of the fixtures included."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.add(process)
    return found


async def test_up_starts_both_servers_and_a_host_that_gets_its_secrets_by_environment(
    supervise: Supervise, data: Path, tmp_path: Path
) -> None:
    before = alive()
    async with supervise(data, workspaces=[tmp_path]) as it:
        running = msgspec.json.decode((data / "run.json").read_bytes(), type=Running)
        assert running == it.running
        assert running.pid == os.getpid()
        assert stat.S_IMODE((data / "run.json").stat().st_mode) == 0o600
        assert stat.S_IMODE((data / "secrets.json").stat().st_mode) == 0o600
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        host = await it.host()
        assert host["env"]["DATABASE_URL"] == running.database_url
        assert host["env"]["NATS_URL"] == running.nats_url
        assert host["env"]["NATS_RELAY_URL"] == running.nats_relay_url
        assert host["argv"][-1] == str(tmp_path)
        secrets = msgspec.json.decode((data / "secrets.json").read_bytes())
        for process in alive() - before:
            words = " ".join(process.cmdline())
            assert not [name for name, secret in secrets.items() if secret in words]
        connection = await asyncpg.connect(running.database_url)
        assert await connection.fetchval("SHOW fsync") == "on"
        await connection.close()
        client = await nats.connect(running.nats_client_url)
        await client.close()
    assert not (data / "run.json").exists()
    assert alive() <= before


async def test_a_host_that_dies_is_started_again_on_the_same_port_and_the_line_says_how_it_died(
    supervise: Supervise, data: Path
) -> None:
    async with supervise(data) as it:
        first = (await it.host())["pid"]
        os.kill(first, signal.SIGKILL)
        await it.hears("the host was ended by SIGKILL")
        await it.hears("ready again")
        assert (await it.host())["pid"] != first


@pytest.mark.parametrize("which", ["postgres", "nats-server"])
async def test_a_server_that_dies_is_started_again_where_it_was(supervise: Supervise, data: Path, which: str) -> None:
    before = alive()
    async with supervise(data) as it:
        (victim,) = [
            process for process in alive() - before if process.name() == which and process.ppid() == os.getpid()
        ]
        victim.kill()
        await it.hears(f"{which.removesuffix('-server')} was ended by SIGKILL")
        await it.hears("runs again")
        await (await asyncpg.connect(it.running.database_url)).close()
        await (await nats.connect(it.running.nats_url)).close()


async def test_a_host_that_cannot_start_ends_the_attempt_with_its_own_words(
    supervise: Supervise, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "fail").write_text("workspace.py line 3: no such name")
    with pytest.raises(Unavailable, match=r"exit code 3: workspace.py line 3"):
        async with supervise(data, environment={"FAIL": str(tmp_path / "fail")}):
            pass


async def test_a_host_that_fails_again_and_again_is_tried_again_and_again(
    supervise: Supervise, data: Path, tmp_path: Path
) -> None:
    fail = tmp_path / "fail"
    async with supervise(data, environment={"FAIL": str(fail)}) as it:
        fail.write_text("not today")
        os.kill((await it.host())["pid"], signal.SIGKILL)
        await it.hears("not today")
        fail.unlink()
        await it.hears("ready again")


async def test_a_port_in_use_is_said_at_once(supervise: Supervise, data: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Conflict, match=f"port {port} on 127.0.0.1 is in use"):
            async with supervise(data, port):
                pass
    assert not (data / "postgres").exists()


async def test_a_second_up_on_the_same_directory_says_who_holds_it(supervise: Supervise, data: Path) -> None:
    async with supervise(data) as it:
        with pytest.raises(Conflict, match=rf"in use by process {os.getpid()} since .* serving on {it.running.url}"):
            async with supervise(data):
                pass


async def test_a_directory_that_cannot_be_written_to_is_named(supervise: Supervise, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="file/data cannot be used: Not a directory"):
        async with supervise(tmp_path / "file" / "data"):
            pass


FULL = """
set -e
mount -t tmpfs -o size=8m none "$1"
exec "$2" -c "
import asyncio, pathlib, sys
from events.errors import ThespisError
from gateway.supervisor import up
try:
    asyncio.run(up(pathlib.Path(sys.argv[1]), 0))
except ThespisError as error:
    sys.exit(f'{error.code}: {error}')
" "$1/data"
"""
"""A shell script for a mount namespace: `up` on a disk of 8 MB."""


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    private = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*private, "true"], check=False, capture_output=True).returncode:
        pytest.skip("a file system of one's own is not permitted here")
    done = subprocess.run(
        [*private, "sh", "-c", FULL, "sh", tmp_path, sys.executable],
        check=False, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
    )  # fmt: skip
    assert done.returncode == 1
    assert re.fullmatch(r"store-unavailable: the disk of .* is full\n", done.stderr)


async def test_servers_of_ones_own_are_used_instead(
    supervise: Supervise, data: Path, postgres_url: str, nats_url: str
) -> None:
    async with supervise(data, environment={"DATABASE_URL": postgres_url, "NATS_URL": nats_url}) as it:
        assert it.running.database_url == postgres_url
        assert (await it.host())["env"]["NATS_URL"] == nats_url
        assert not (data / "postgres").exists()
        assert not (data / "nats").exists()


async def test_stopping_while_it_starts_leaves_nothing_behind(supervise: Supervise, data: Path) -> None:
    before = alive()

    def interrupt(line: str) -> None:
        raise AssertionError(line)

    async def stop_when_started() -> None:
        while not list(data.glob("logs/*.log")):
            await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)

    environment = {"PATH": os.defpath}
    await asyncio.gather(up(data, 0, environment=environment, say=interrupt), stop_when_started())
    assert alive() <= before
    async with supervise(data) as it:
        await (await asyncpg.connect(it.running.database_url)).close()
