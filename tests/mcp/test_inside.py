"""MCP servers in the sandbox: what they may do is what their configuration names, and the level is recorded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from random import randrange
from typing import Any

import psutil
import pytest

from actors.tools.tool import ToolCallInfo, ToolError, ToolResult
from events.errors import BadDefinition
from infra.mcp.client import McpServers
from infra.mcp.config import McpServer, ToolRule, checked
from infra.mcp.connection import Pace
from infra.mcp.starting import confined, found
from infra.sandbox.sandbox import Sandbox
from tests.repository.tree import ROOT
from tests.sandbox.levels import every_level
from tests.sandbox.victims import PYTHON, Victims, family, gone, program, until, victims, with_python
from tests.web.pages import site

CALL = ToolCallInfo("call/1", "key-1", "default", ["user:ada"])


def prying(place: Path, **more: Any) -> McpServer:
    return McpServer("pry", command=PYTHON, args=["-I", str(place), "--mcp"], reads=[str(place)], legacy=True, **more)


def unconfined(place: Path) -> McpServer:
    return McpServer("pry", command=PYTHON, args=["-I", str(place), "--mcp"], sandbox="unconfined", legacy=True)


@asynccontextmanager
async def connected(server: McpServer, sandbox: Sandbox | None = None) -> AsyncGenerator[McpServers]:
    async with McpServers([server], sandbox=sandbox, pace=Pace(first=30.0)) as servers:
        yield servers


async def asked(servers: McpServers, act: str, *given: Any, call: ToolCallInfo = CALL) -> ToolResult:
    [tool] = servers.tools()
    return await tool.run({"act": act, "with": list(given)}, call)


async def tried(servers: McpServers, act: str, *given: Any) -> dict[str, Any]:
    return json.loads((await asked(servers, act, *given)).text)


def everything(to: Victims) -> dict[str, Any]:
    return {
        "read": str(to.secret), "write": str(to.folder / "written"), "tcp": to.tcp, "udp": to.udp, "unix": str(to.unix),
        "outside": "192.0.2.1",
    }  # fmt: skip


def of(pid: int, number: str) -> list[psutil.Process]:
    """Those below a process that sleep this number of seconds."""
    found = list[psutil.Process]()
    for each in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [each] if each.cmdline() == ["sleep", number] else []
    return found


@with_python
@every_level
async def test_a_server_reaches_nothing_that_it_was_not_given(level: str, tmp_path: Path) -> None:
    sandbox = Sandbox(levels=[level])
    async with victims(tmp_path) as to, connected(prying(program(tmp_path)), sandbox) as servers:
        for act, given in everything(to).items():
            done = await tried(servers, act, given)
            assert not done["done"], (act, done)
        result = await asked(servers, "environment")
        assert servers.standing()[0].level == level
    assert result.sandbox == level, "recorded with the call"
    assert not (to.folder / "written").exists()


@with_python
async def test_an_unconfined_server_does_all_of_it_and_no_level_is_recorded(tmp_path: Path) -> None:
    async with victims(tmp_path) as to, connected(unconfined(program(tmp_path))) as servers:
        for act, given in everything(to).items():
            if act != "outside":  # which depends on this machine
                assert (await tried(servers, act, given))["done"], act
        assert (await asked(servers, "environment")).sandbox == ""


@with_python
@pytest.mark.parametrize(
    ("act", "layers"),
    [
        ("read", ("mounts", "landlock")), ("write", ("mounts", "landlock")), ("tcp", ("net", "landlock", "seccomp")),
        ("unix", ("mounts", "seccomp")),
    ],
)  # fmt: skip
async def test_with_the_layers_off_it_is_done(act: str, layers: tuple[str, ...], tmp_path: Path) -> None:
    weak = Sandbox(levels=["namespaces"], without=layers)
    await weak.ready()
    # What is without a layer has no level, so that no server is started in it: it is spoken to directly.
    server = prying(program(tmp_path), sandbox="")
    async with victims(tmp_path) as to:
        child = await confined(server, {}, weak)
        try:
            assert child.process.stdin is not None
            assert child.process.stdout is not None
            arguments = {"act": act, "with": [everything(to)[act]]}
            call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"arguments": arguments}}
            child.process.stdin.write(json.dumps(call).encode() + b"\n")
            answer = json.loads(await child.process.stdout.readline())
        finally:
            await child.end()
        assert json.loads(answer["result"]["content"][0]["text"])["done"], answer
    with pytest.raises(BadDefinition, match="no level"):
        checked(server)


@with_python
async def test_it_reads_and_writes_what_was_named(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    async with victims(tmp_path) as to:
        server = prying(program(tmp_path), cwd=str(to.folder), writes=[str(tmp_path / "kept")])
        async with connected(server) as servers:
            assert (await tried(servers, "read", "secret"))["said"] == to.word, "where it works it may read"
            assert not (await tried(servers, "write", "secret"))["done"]
            assert (await tried(servers, "write", str(tmp_path / "kept" / "file")))["done"]
            home = json.loads((await tried(servers, "environment"))["said"])["HOME"]
            assert (await tried(servers, "write", f"{home}/own"))["done"]
    assert to.secret.read_text() == to.word
    assert (tmp_path / "kept" / "file").read_text() == "written"
    assert not Path(home, "own").exists()


@with_python
async def test_by_the_proxy_it_reaches_the_places_that_were_named(tmp_path: Path) -> None:
    async with site() as made, victims(tmp_path) as to:
        server = prying(program(tmp_path), network=[f"127.0.0.1:{made.port}"])
        async with connected(server) as servers:
            told = json.loads((await tried(servers, "environment"))["said"])["HTTPS_PROXY"]
            door = int(told.rpartition(":")[2])
            assert (await tried(servers, "through", door, made.url + "/json"))["said"] == "200"
            assert (await tried(servers, "through", door, f"http://127.0.0.1:{to.tcp}/"))["said"] == "no answer"
            for act in ("tcp", "udp"):
                assert not (await tried(servers, act, everything(to)[act]))["done"]
            assert not (await tried(servers, "tcp", made.port))["done"]
    assert made.asked == ["GET /json"]


@with_python
async def test_with_the_network_of_the_machine_no_level_counts_as_reached(tmp_path: Path) -> None:
    async with victims(tmp_path) as to, connected(prying(program(tmp_path), network=["machine"])) as servers:
        assert (await tried(servers, "tcp", to.tcp))["said"] == to.word
        assert not (await tried(servers, "read", str(to.secret)))["done"]
        level = (await asked(servers, "environment")).sandbox
        assert level.endswith("+machine-network")
        needs = ToolCallInfo("c", "k", "default", ["user:ada"], sandbox="landlock")
        with pytest.raises(ToolError, match="landlock is needed") as refused:
            await asked(servers, "tcp", to.tcp, call=needs)
    assert refused.value.code == "sandbox"


@with_python
async def test_a_tool_whose_tier_needs_a_level_is_not_called_in_a_weaker_one(tmp_path: Path) -> None:
    place = program(tmp_path)
    for server in (unconfined(place), prying(place)):
        async with connected(server, Sandbox(levels=["mounts"])) as servers:
            needs = ToolCallInfo("c", "k", "default", ["user:ada"], sandbox="namespaces")
            with pytest.raises(ToolError, match="namespaces is needed"):
                await asked(servers, "write", str(tmp_path / "made"), call=needs)
    assert not (tmp_path / "made").exists()


@with_python
async def test_a_level_that_is_not_there_is_said_and_nothing_is_started(tmp_path: Path) -> None:
    for server, sandbox in (
        (prying(program(tmp_path), sandbox="namespaces"), Sandbox(levels=["mounts"])),
        (prying(tmp_path / "program" / "trying"), Sandbox(levels=[])),
    ):
        async with connected(server, sandbox) as servers:
            [standing] = servers.standing()
            assert servers.tools() == []
        assert "needs the sandbox level" in standing.why
        assert "unconfined" in standing.why, "the way out"
        assert standing.level == ""


async def test_a_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    server = McpServer("pry", command="/bin/cat", reads=[str(tmp_path / "nothing")])
    async with connected(server) as servers:
        assert f"{tmp_path}/nothing: No such file" in servers.standing()[0].why


@with_python
async def test_a_child_that_it_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    number = f"1000{randrange(10**6)}"
    async with connected(prying(program(tmp_path))) as servers:
        assert (await tried(servers, "child", number))["done"]
        await until(lambda: bool(of(os.getpid(), number)))
        below = of(os.getpid(), number)
    assert gone(below)


HOST = """
import asyncio, sys
from infra.mcp.client import McpServers
from tests.mcp.test_inside import asked, prying
from pathlib import Path
async def main():
    async with McpServers([prying(Path(sys.argv[1]))]) as servers:
        print((await asked(servers, "child", sys.argv[2])).text, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@with_python
async def test_nothing_of_a_server_survives_a_host_that_is_killed(tmp_path: Path) -> None:
    number = f"1000{randrange(10**6)}"
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, str(program(tmp_path)), number, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )  # fmt: skip
    assert host.stdout is not None
    try:
        assert b"left behind" in await host.stdout.readline()
        await until(lambda: bool(of(host.pid, number)))
        below = family(host.pid)
    finally:
        host.send_signal(signal.SIGKILL)
        await host.wait()
    await until(lambda: gone(below), f"still there: {below}")


def test_a_program_comes_with_the_installation_it_is_in(tmp_path: Path) -> None:
    program_, own = found(sys.executable)
    assert program_ == os.path.abspath(sys.executable)
    assert all(Path(place).exists() for place in own)
    assert os.path.realpath(sys.executable).startswith((*own, "/usr", "/bin"))
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "link").symlink_to("tool")
    assert found(str(tmp_path / "link")) == (str(tmp_path / "tool"), [str(tmp_path / "tool")])
    assert found("/bin/sh") == ("/bin/sh", [])
    with pytest.raises(FileNotFoundError, match="no program"):
        found(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    "wrong",
    [
        McpServer("odd", command="x", sandbox="tight"),
        McpServer("odd", url="http://localhost", writes=["/tmp"]),
        McpServer("odd", command="x", sandbox="unconfined", network=["public"]),
        McpServer("odd", command="x", network=["machine", "public"]),
        McpServer("odd", command="x", network=["example.com"]),
        McpServer("odd", command="x", reads=[""]),
        McpServer("odd", command="x", memory=0),
    ],
)
def test_a_confinement_that_makes_no_sense_is_refused(wrong: McpServer) -> None:
    with pytest.raises(BadDefinition):
        checked(wrong)
    assert checked(McpServer("odd", command="x", network=["public", "10.0.0.7:5432"], tools={"a": ToolRule()}))
