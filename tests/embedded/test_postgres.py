"""Starting and stopping PostgreSQL, and starting it after whatever may have happened."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest

from events.errors import StoreUnavailable
from infra.embedded import leftovers
from infra.embedded.postgres import EmbeddedPostgres
from tests.servers import SAFE, Postgres

ROOT = Path(__file__).parents[2]


def orphans(server: EmbeddedPostgres) -> list[psutil.Process]:
    return leftovers.find(lambda name, words: name == "postgres" and server._cluster in " ".join(words))


async def answer(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_vectors_are_there_and_our_role_is_no_superuser(postgres_server: Postgres) -> None:
    assert await answer(postgres_server.url, "SELECT '[1,2]'::vector <-> '[4,6]'") == 5
    assert await answer(postgres_server.url, "SELECT usesuper FROM pg_user WHERE usename = current_user") is False
    assert await answer(postgres_server.socket_url, "SELECT inet_server_addr()") is None
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_server.url.replace("only-for-tests", "guessed"))
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_server.socket_url.replace("only-for-tests", "guessed"))


async def test_a_pid_file_of_a_process_that_is_somebody_else_by_now_does_not_block(postgres_server: Postgres) -> None:
    await postgres_server.kill()
    file = postgres_server.directory / "postmaster.pid"
    file.write_text("\n".join([str(os.getppid()), *file.read_text().splitlines()[1:]]) + "\n")
    await postgres_server.restart()
    assert await answer(postgres_server.url, "SELECT 1") == 1


async def test_backends_that_outlive_their_server_do_not_block(postgres_server: Postgres) -> None:
    connection = await asyncpg.connect(postgres_server.url)
    backend = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()"))
    backend.suspend()
    assert postgres_server.process is not None
    await postgres_server.process.kill()
    assert backend.pid in {process.pid for process in orphans(postgres_server)}
    await postgres_server.restart()
    assert not backend.is_running() or backend.status() == psutil.STATUS_ZOMBIE
    assert await answer(postgres_server.url, "SELECT 1") == 1
    connection.terminate()


async def test_a_server_that_outlived_its_owner_is_ended_first(postgres_server: Postgres) -> None:
    other = EmbeddedPostgres(
        postgres_server.directory,
        password="only-for-tests", admin_password="only-for-tests", log=postgres_server.log, settings=SAFE,
    )  # fmt: skip
    first = postgres_server.process
    await other.start()
    try:
        assert first is not None
        assert first.status is not None
        assert await answer(other.url, "SELECT 1") == 1
    finally:
        await other.stop()


async def test_another_port_is_taken_when_somebody_has_the_last_one(postgres_server: Postgres) -> None:
    await postgres_server.stop()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", postgres_server.port or 0))
        squatter.listen()
        again = EmbeddedPostgres(
            postgres_server.directory,
            password="only-for-tests", admin_password="only-for-tests", log=postgres_server.log,
            port=postgres_server.port, settings=SAFE,
        )  # fmt: skip
        await again.start()
        try:
            assert again.port != postgres_server.port
            assert await answer(again.url, "SELECT 1") == 1
        finally:
            await again.stop()


async def test_a_creation_that_was_cut_short_is_begun_again(place: Path, tmp_path: Path) -> None:
    server = Postgres(Path(f"{place}/cut"), safe=False)
    half = server.directory.with_name("postgres.part")
    (half / "base").mkdir(parents=True)
    server.directory.mkdir()
    (server.directory / "junk").touch()
    await server.start()
    try:
        assert await answer(server.url, "SELECT 1") == 1
        assert not half.exists()
        assert not (server.directory / "junk").exists()
    finally:
        await server.stop()


async def test_any_name_of_a_directory_will_do(place: Path) -> None:
    server = Postgres(place / ('a, "b" c é ' + "long" * 20), safe=False)
    await server.start()
    try:
        assert await answer(server.socket_url, "SELECT 1") == 1
    finally:
        await server.stop()


async def test_passwords_of_another_cluster_are_told_from_a_broken_server(postgres_server: Postgres) -> None:
    await postgres_server.stop()
    stranger = EmbeddedPostgres(
        postgres_server.directory, password="x", admin_password="x", log=postgres_server.log, settings=SAFE
    )
    with pytest.raises(StoreUnavailable, match="are not those of the cluster beside it"):
        await stranger.start()
    assert not stranger.running


async def test_a_cluster_of_another_version_is_named(postgres_server: Postgres) -> None:
    await postgres_server.stop()
    (postgres_server.directory / "PG_VERSION").write_text("16\n")
    with pytest.raises(StoreUnavailable, match="is a cluster of PostgreSQL 16, this is 18"):
        await postgres_server.start()
    (postgres_server.directory / "PG_VERSION").write_text("18\n")


async def test_a_setting_that_postgres_refuses_is_told_in_its_words(postgres_server: Postgres) -> None:
    await postgres_server.stop()
    broken = EmbeddedPostgres(
        postgres_server.directory, password="x", admin_password="x", log=postgres_server.log,
        settings={"shared_buffers": "lots"},
    )  # fmt: skip
    with pytest.raises(StoreUnavailable, match='invalid value for parameter "shared_buffers"'):
        await broken.start()


def test_it_ends_with_the_process_that_started_it(place: Path, postgres_seed: Path) -> None:
    script = f"""
import asyncio, os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.servers import Postgres, run
server = Postgres(Path({str(place / "left")!r}), safe=True, seed=Path({str(postgres_seed)!r}))
run(server.start())
print(server.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(30)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
@pytest.mark.parametrize("mode", ["namespace", "account"])
async def test_root_becomes_somebody_else_and_opens_no_directory(place: Path, mode: str) -> None:
    parent = place / f"as-{mode}"
    parent.mkdir(0o700)
    for identity in (mode, "other"):  # started once in one way, it can be started in another
        server = EmbeddedPostgres(
            parent / "postgres", password="x", admin_password="x", log=parent / "log", settings=SAFE, identity=identity
        )
        try:
            await server.start()
        except StoreUnavailable as error:
            if "not permitted" in str(error):
                pytest.skip(str(error))
            raise
        try:
            assert await answer(server.url, "SELECT 1") == 1
            assert parent.stat().st_mode & 0o777 == 0o700
            if identity == mode:
                assert (server.directory.stat().st_uid != 0) == (mode == "account")
        finally:
            await server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests show it already")
def test_an_ordinary_user_can_run_it(place: Path) -> None:
    script = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.servers import Postgres, run
assert os.geteuid() != 0
server = Postgres(Path({str(place / "ordinary")!r}), safe=True)
run(server.start())
run(server.restart())
run(server.stop())
print("ran")
"""
    launch = [sys.executable, str(ROOT / "infra/embedded/launch.py")]
    launch += ["--as", "namespace", "--parent", str(os.getpid()), "--signal", "15", "--"]
    done = subprocess.run(
        [*launch, sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    if "not permitted" in done.stderr:
        pytest.skip(done.stderr)
    assert done.stdout == "ran\n", done.stderr
