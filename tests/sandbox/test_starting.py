"""A confined process that goes on: what it gets, what it is kept from, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import randbelow
from typing import Any

import psutil
import pytest

from events.errors import Invalid, Unavailable
from infra.embedded import ports
from infra.sandbox.levels import layers_of
from infra.sandbox.running import Confinement
from infra.sandbox.sandbox import Sandbox, start
from infra.sandbox.starting import Limits, Started, start_confined
from tests.repository.tree import ROOT
from tests.sandbox.levels import confinement, every_level, without
from tests.sandbox.victims import PYTHON, Victims, family, gone, program, until, victims, with_python

LIMITS = Limits(cpu=60, wall=120, interval=0.05)


@asynccontextmanager
async def trying(inside: Confinement, folder: Path, **options: Any) -> AsyncGenerator[Started]:
    place = program(folder)
    started = await start_confined(
        [PYTHON, "-I", str(place)], inside, readable=[place.parent], limits=LIMITS, **options
    )
    try:
        yield started
    finally:
        if started.door is not None:
            started.door.close()
        await started.end()


async def tried(started: Started, act: str, *given: Any) -> dict[str, Any]:
    process = started.process
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"act": act, "with": given}).encode() + b"\n")
    async with asyncio.timeout(60):
        line = await process.stdout.readline()
    assert line, act
    return json.loads(line)


@with_python
@every_level
async def test_it_is_asked_again_and_again_and_gone_when_it_is_ended(level: str, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    async with trying(confinement(level), tmp_path, writable=[tmp_path / "kept"]) as started:
        assert started.level == level
        assert (await tried(started, "write", str(tmp_path / "kept" / "file")))["done"]
        environment = json.loads((await tried(started, "environment"))["said"])
        assert (await tried(started, "write", environment["HOME"] + "/own"))["done"]
        assert (await tried(started, "child", f"1000{randbelow(10**6)}"))["done"]
        family_of = [psutil.Process(started.process.pid), *family(started.process.pid)]
        ended = await started.end()
        assert gone(family_of)
    assert ended.stopped == "cancelled"
    assert (tmp_path / "kept" / "file").exists()
    if "mounts" not in layers_of(level):
        assert not Path(environment["HOME"]).exists()


@with_python
@every_level
async def test_what_ends_by_itself_says_how(level: str, tmp_path: Path) -> None:
    async with trying(confinement(level), tmp_path) as started:
        assert started.process.stdin is not None
        started.process.stdin.close()
        await until(lambda: started.process.returncode is not None)
        assert ((await started.end()).status, (await started.end()).stopped) == (0, "")


@every_level
async def test_descriptors_get_the_numbers_that_were_named(level: str) -> None:
    read_theirs, write_ours = os.pipe()
    read_ours, write_theirs = os.pipe()
    try:
        started = await start_confined(
            ["/bin/sh", "-c", "cat <&3 >&4; for fd in 5 6 7 8 9; do (: <&$fd) 2>/dev/null && echo $fd >&4; done; true"],
            confinement(level), limits=LIMITS, descriptors={4: write_theirs, 3: read_theirs},
        )  # fmt: skip
    finally:
        os.close(read_theirs)
        os.close(write_theirs)
    os.write(write_ours, b"hello")
    os.close(write_ours)
    await until(lambda: started.process.returncode is not None)
    with os.fdopen(read_ours, "rb") as answer:
        assert answer.read() == b"hello"
    assert (await started.end()).status == 0


def everything(to: Victims) -> dict[str, tuple[Any, ...]]:
    return {
        "read": (str(to.secret),), "write": (str(to.folder / "written"),), "tcp": (to.tcp,), "udp": (to.udp,),
        "unix": (str(to.unix),), "outside": ("192.0.2.1",),
    }  # fmt: skip


STOPPED_BY = {
    "read": ("mounts", "landlock"),
    "write": ("mounts", "landlock"),
    "tcp": ("net", "landlock"),
    "udp": ("net",),
    "unix": ("mounts", "seccomp"),
}
"""What stops it although there is a door, for which seccomp lets sockets be made."""


@with_python
@every_level
async def test_with_a_door_it_reaches_who_listens_there_and_nobody_else(level: str, tmp_path: Path) -> None:
    if "net" not in layers_of(level):
        with pytest.raises(Unavailable, match="no network of its own"):
            await start_confined(["true"], confinement(level), door=3128)
        return
    async with victims(tmp_path) as to, trying(confinement(level), tmp_path, door=3128) as started:
        assert started.door is not None

        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"come in")
            writer.close()

        async with await asyncio.start_server(greet, sock=started.door):
            assert (await tried(started, "tcp", 3128))["said"] == "come in"
            for act, given in everything(to).items():
                found = await tried(started, act, *given)
                assert not found["done"], (act, found)
        assert not (to.folder / "written").exists()


@with_python
@pytest.mark.parametrize("act", STOPPED_BY)
async def test_with_a_door_an_act_is_done_when_its_layers_are_off_and_every_other_is_on(
    act: str, tmp_path: Path
) -> None:
    inside = without("namespaces", *STOPPED_BY[act])
    async with victims(tmp_path) as to, trying(inside, tmp_path, door=ports.free()) as started:
        found = await tried(started, act, *everything(to)[act])
        assert (to.folder / "written").exists() == (act == "write")
    assert found["done"], found
    assert act == "write" or found["said"] == to.word


@with_python
@every_level
async def test_it_lives_as_long_as_its_limits(level: str, tmp_path: Path) -> None:
    place = program(tmp_path)
    started = await start_confined(
        [PYTHON, "-I", str(place)], confinement(level), readable=[place.parent], limits=Limits(wall=0.5)
    )
    below = family(started.process.pid)
    await until(lambda: started.process.returncode is not None)
    assert (await started.end()).stopped == "time"
    assert gone(below)


HOST = """
import asyncio, sys
from infra.sandbox.sandbox import Sandbox
from infra.sandbox.starting import start_confined
level, program, number = sys.argv[1:]
async def main():
    started = await start_confined(
        ["/usr/bin/python3", "-I", program], Sandbox().confinement(level), readable=[program],
        door=0 if level == "landlock" else 3128)
    started.process.stdin.write(b'{"act": "child", "with": ["%s"]}\\n' % number.encode())
    print((await started.process.stdout.readline()).decode(), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@with_python
@every_level
async def test_nothing_survives_a_host_that_is_killed(level: str, tmp_path: Path) -> None:
    place = program(tmp_path)
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, level, str(place), f"1000{randbelow(10**6)}", cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )  # fmt: skip
    assert host.stdout is not None
    try:
        assert b"left behind" in await host.stdout.readline()
        below = family(host.pid)
        assert len(below) > 2
    finally:
        host.send_signal(signal.SIGKILL)
        await host.wait()
    await until(lambda: gone(below), f"still there: {below}")


async def test_what_cannot_be_started_as_it_must_be_is_said_at_once(tmp_path: Path) -> None:
    broken = Confinement("bubblewrap", layers_of("bubblewrap"), "/bin/false")
    with pytest.raises(Unavailable, match="could not be set up"):
        await start_confined(["true"], broken, streams=(asyncio.subprocess.DEVNULL,) * 3)
    with pytest.raises(Invalid, match="No such file"):
        await start_confined(["true"], confinement("namespaces"), writable=[tmp_path / "no"])
    sandbox = Sandbox(levels=["mounts"])
    await sandbox.ready()
    with pytest.raises(Unavailable, match="bubblewrap is needed"):
        await start(["true"], sandbox=sandbox, needed="bubblewrap")
    with pytest.raises(Unavailable, match="no sandbox"):
        await start(["true"], sandbox=Sandbox())
