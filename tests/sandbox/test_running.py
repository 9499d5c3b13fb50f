"""One command: what it gets, what it is kept from, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from events.errors import Invalid, Unavailable
from infra.sandbox.levels import layers_of
from infra.sandbox.running import Confinement, Limits, Ran, run_confined
from tests.repository.tree import ROOT
from tests.sandbox.levels import confinement, every_level

BUSY = "while :; do :; done"


async def sh(level: str, script: str, folder: Path, **options: Any) -> Ran:
    """Run a line of shell in a folder that it may write."""
    given: dict[str, Any] = {"folder": folder, "writable": [folder], **options}
    return await run_confined(["/bin/sh", "-c", script], confinement(level), **given)


def alive(mark: str) -> list[int]:
    """Processes whose command line has a mark."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if mark.encode() in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def until(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Wait for a condition with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@every_level
async def test_a_command_gets_its_input_and_gives_its_output_and_status(level: str, tmp_path: Path) -> None:
    ran = await sh(level, "cat; echo no >&2; pwd > made; exit 3", tmp_path, stdin=b"yes\n" * 20_000)
    assert (ran.status, ran.stdout, ran.stderr) == (3, b"yes\n" * 20_000, b"no\n")
    assert (tmp_path / "made").read_text().strip() == str(tmp_path)
    assert (ran.level, ran.stopped, ran.truncated) == (level, "", False)
    assert ran.memory > 0
    assert (tmp_path / "made").stat().st_uid == os.geteuid()


@every_level
async def test_a_folder_is_for_reading_unless_it_was_named_for_writing(level: str, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("before")
    ran = await sh(level, "cat kept; echo after > kept; rm kept; touch new", tmp_path, writable=[])
    assert ran.stdout == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_text() == "before"


@every_level
async def test_a_link_out_of_a_writable_folder_leads_nowhere(level: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").write_text("secret")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    ran = await sh(level, "cat link; echo changed > link", tmp_path / "in")
    assert b"secret" not in ran.stdout
    assert (tmp_path / "out").read_text() == "secret"


@every_level
async def test_the_environment_is_a_short_list(level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "not-for-you")
    ran = await run_confined(["env"], confinement(level), folder=tmp_path, environment={"GIVEN": "yes"})
    names = {line.split(b"=")[0] for line in ran.stdout.splitlines()}
    assert names == {b"PATH", b"LANG", b"LC_ALL", b"TERM", b"TZ", b"HOME", b"TMPDIR", b"PWD", b"GIVEN"}


@every_level
async def test_no_descriptor_is_inherited(level: str, tmp_path: Path) -> None:
    secret = os.open(tmp_path / "secret", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(secret, True)
    try:
        ran = await run_confined(
            ["/bin/sh", "-c", "for fd in 3 4 5 6 7 8 9; do (: <&$fd) 2>/dev/null && echo $fd; done; true"],
            confinement(level), folder=tmp_path,
        )  # fmt: skip
    finally:
        os.close(secret)
    assert ran.stdout == b""


@every_level
async def test_temporary_files_are_gone_after_the_command(level: str, tmp_path: Path) -> None:
    ran = await sh(level, 'echo here > "$TMPDIR/x" && cat "$TMPDIR/x"; echo "$TMPDIR"', tmp_path)
    here, place = ran.stdout.decode().split()
    assert here == "here"
    assert not Path(place, "x").exists()


@every_level
async def test_what_cannot_be_run_is_said_as_a_shell_says_it(level: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no program")
    missing = await run_confined(["no-such-program"], confinement(level), folder=tmp_path)
    assert (missing.status, missing.stderr) == (127, b"no-such-program: No such file or directory\n")
    assert (await run_confined(["./data"], confinement(level), folder=tmp_path)).status == 126
    assert (await sh(level, "kill -9 $$", tmp_path)).status == -signal.SIGKILL


@every_level
async def test_output_beyond_the_limit_is_cut_and_said_so(level: str, tmp_path: Path) -> None:
    ran = await sh(level, "yes | head -c 300000", tmp_path, limits=Limits(output=1000))
    assert (len(ran.stdout), ran.truncated, ran.status) == (1000, True, 0)


@every_level
async def test_wall_time_ends_it_with_everything_it_started(level: str, tmp_path: Path) -> None:
    mark = token_hex(8)
    ran = await sh(level, f"setsid sleep 1000{int(mark[:4], 16)}7 & sleep 999", tmp_path, limits=Limits(wall=0.5))
    assert (ran.stopped, ran.status) == ("time", -signal.SIGKILL)
    assert alive(f"1000{int(mark[:4], 16)}7") == []


@every_level
async def test_processor_time_is_counted_over_all_processes(level: str, tmp_path: Path) -> None:
    many = f"for i in 1 2 3 4; do ({BUSY}) & done; wait"
    assert (await sh(level, many, tmp_path, limits=Limits(cpu=1, wall=60))).stopped == "cpu"


@every_level
async def test_memory_is_counted_over_all_processes(level: str, tmp_path: Path) -> None:
    one = "python3 -c 'x = bytearray(60 << 20); import time; time.sleep(25)'"
    script = f"{one} & {one} & {one} & wait"
    fits = await sh(level, "echo | python3 -c 'x = bytearray(60 << 20); input()'", tmp_path, limits=_memory())
    assert fits.status == 0, fits.stderr
    assert (await sh(level, script, tmp_path, limits=_memory())).stopped == "memory"


def _memory() -> Limits:
    return Limits(memory=100 << 20, wall=30)


@every_level
async def test_what_goes_on_in_the_background_ends_with_the_command(level: str, tmp_path: Path) -> None:
    number = f"1000{int(token_hex(3), 16)}"
    ran = await sh(level, f"setsid sleep {number} >/dev/null 2>&1 & (setsid sleep {number} &) ; echo done", tmp_path)
    assert (ran.status, ran.stdout) == (0, b"done\n")
    assert alive(number) == []


@every_level
async def test_cancelling_ends_everything(level: str, tmp_path: Path) -> None:
    number = f"1000{int(token_hex(3), 16)}"
    task = asyncio.ensure_future(
        sh(level, f"touch begun; setsid sleep {number} & yes | cat & sleep {number}", tmp_path)
    )
    deadline = time.monotonic() + 20
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert alive(number) == []


HOST = """
import asyncio, sys
from infra.sandbox.sandbox import Sandbox
from infra.sandbox.running import run_confined
level, folder, number = sys.argv[1:]
script = f"setsid sleep {number} & (setsid setsid sleep {number} &); touch begun; sleep {number}"
asyncio.run(run_confined(["/bin/sh", "-c", script], Sandbox().confinement(level), folder=folder, writable=[folder]))
"""


@pytest.fixture
def host_script(tmp_path: Path) -> Path:
    script = tmp_path / "host.py"
    script.write_text(textwrap.dedent(HOST))
    return script


@every_level
async def test_nothing_survives_a_host_that_is_killed(level: str, tmp_path: Path, host_script: Path) -> None:
    number = f"1000{int(token_hex(3), 16)}"
    folder = tmp_path / "work"
    folder.mkdir()
    host = await asyncio.create_subprocess_exec(
        sys.executable,
        str(host_script),
        level,
        str(folder),
        number,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", *sys.path])},
    )
    try:
        until(lambda: (folder / "begun").exists() and len(alive(number)) > 2, "it never began")
    finally:
        host.kill()
        await host.wait()
    until(lambda: not alive(number), f"still there: {alive(number)}")


@every_level
async def test_with_the_network_a_server_of_this_machine_is_reached(level: str, tmp_path: Path) -> None:
    served = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.set()
        writer.write(b"hello")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        line = f"exec 3<>/dev/tcp/127.0.0.1/{port} && cat <&3"
        refused = await run_confined(["bash", "-c", line], confinement(level), folder=tmp_path)
        assert not served.is_set()
        assert refused.status != 0
        reached = await run_confined(["bash", "-c", line], confinement(level), folder=tmp_path, network=True)
        assert reached.stdout == b"hello", reached.stderr


async def test_a_path_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    given: list[dict[str, Any]] = [{"folder": tmp_path / "no"}, {"folder": tmp_path, "writable": [tmp_path / "no"]}]
    for wrong in given:
        with pytest.raises(Invalid, match="No such file"):
            await run_confined(["true"], confinement("namespaces"), **wrong)


async def test_a_launcher_that_fails_runs_nothing(tmp_path: Path) -> None:
    broken = Confinement("bubblewrap", layers_of("bubblewrap"), "/bin/false")
    with pytest.raises(Unavailable, match="could not be set up"):
        await run_confined(["touch", "made"], broken, folder=tmp_path, writable=[tmp_path])
    assert not list(tmp_path.iterdir())


async def test_many_run_beside_each_other(tmp_path: Path) -> None:
    ran = await asyncio.gather(*(sh("namespaces", f"echo {n}", tmp_path) for n in range(8)))
    assert [int(each.stdout) for each in ran] == list(range(8))
