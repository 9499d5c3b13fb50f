"""The browser's sandbox: what runs in it reaches the proxy and nothing else, and nothing of it is left."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.tools.tool import ToolCallInfo, ToolError
from infra.embedded import ports
from infra.sandbox.levels import LEVELS, layers_of
from infra.sandbox.sandbox import Sandbox
from infra.tools.browser.chromium import LEAST, Browser, browser, chromium
from infra.tools.browser.proxy import GuardedProxy
from infra.tools.browser.tool import ReadPage, browser_tools
from infra.tools.web.guard import Guard
from tests.repository.tree import ROOT
from tests.sandbox.levels import every_level
from tests.sandbox.victims import family, gone, program, until, victims, with_python
from tests.web.pages import site
from tests.web.test_browser import WHY

with_browser = pytest.mark.skipif(not chromium(), reason=WHY)


async def sandbox(*levels: str, without: tuple[str, ...] = ()) -> Sandbox:
    made = Sandbox(levels=levels or LEVELS, without=without)
    await made.ready()
    return made


async def tried(inside: Browser, act: str, *given: Any) -> dict[str, Any]:
    async with asyncio.timeout(60):
        return await inside.tools.call(act, {"with": given})


# -- another program in its place, which does what a taken-over browser would


@with_python
@every_level
async def test_in_the_place_of_the_browser_nothing_is_reached_but_what_the_proxy_permits(
    level: str, tmp_path: Path
) -> None:
    if "net" not in layers_of(level):
        pytest.skip(f"{level}: no browser starts there")
    async with site() as made, victims(tmp_path) as to:
        proxy = GuardedProxy(Guard([f"127.0.0.1:{made.port}"]))
        async with browser(str(program(tmp_path)), proxy, await sandbox(level)) as inside:
            assert inside.level == level
            for act, given in {
                "read": str(to.secret), "write": str(to.folder / "written"), "tcp": to.tcp, "udp": to.udp,
                "unix": str(to.unix), "outside": "192.0.2.1",
            }.items():  # fmt: skip
                found = await tried(inside, act, given)
                assert not found["done"], (act, found)
            assert (await tried(inside, "tcp", made.port))["done"] is False, "only the proxy goes there"
            assert (await tried(inside, "through", 3128, made.url + "/json"))["said"] == "200"
            assert (await tried(inside, "through", 3128, f"http://127.0.0.1:{to.tcp}/"))["said"] == "no answer"
            seen = (await tried(inside, "processes"))["said"].split()
            assert str(os.getpid()) not in seen
            assert len(seen) < 5
        assert not (to.folder / "written").exists()
        assert made.asked == ["GET /json"]
        assert len(proxy.blocked) == 1


@with_python
@pytest.mark.parametrize(
    ("act", "layers"), [("read", ("mounts", "landlock")), ("tcp", ("net", "landlock")), ("unix", ("mounts", "seccomp"))]
)
async def test_with_the_layers_off_a_program_in_its_place_reaches_it(
    act: str, layers: tuple[str, ...], tmp_path: Path
) -> None:
    async with victims(tmp_path) as to:
        weak = await sandbox("namespaces", without=layers)
        proxy, place = GuardedProxy(Guard()), str(program(tmp_path))
        async with browser(place, proxy, weak, needed="", door=ports.free()) as inside:
            given = {"read": str(to.secret), "tcp": to.tcp, "unix": str(to.unix)}[act]
            assert (await tried(inside, act, given))["said"] == to.word


# -- the browser itself


SHOWN = """
location.href != 'about:blank' && document.readyState == 'complete' ? document.body.innerText || '-' : ''
"""  # a tab is a blank page, complete as it is, until it goes anywhere


async def text_of(inside: Browser, url: str) -> str:
    """What is shown at an address, whatever the tool would say of it."""
    made = await inside.tools.call("Target.createTarget", {"url": url})
    attached = await inside.tools.call("Target.attachToTarget", {"targetId": made["targetId"], "flatten": True})
    said = ""
    async with asyncio.timeout(60):
        while not said:
            found = await inside.tools.call("Runtime.evaluate", {"expression": SHOWN}, str(attached["sessionId"]))
            said = str(found["result"].get("value") or "")
    return said


@asynccontextmanager
async def running(inside: Sandbox, needed: str = LEAST) -> AsyncGenerator[Browser]:
    async with browser(chromium(), GuardedProxy(Guard()), inside, needed=needed) as made:
        yield made


@with_browser
async def test_the_browser_shows_no_file_of_this_machine_unless_the_layers_are_off(tmp_path: Path) -> None:
    protocols = Path("/etc/protocols")
    async with victims(tmp_path) as to:
        async with running(await sandbox("namespaces")) as inside:
            assert to.word not in await text_of(inside, to.secret.as_uri())
            if protocols.exists():
                assert "TCP" in await text_of(inside, protocols.as_uri()), "what is meant to be seen there is"
        weak = await sandbox("namespaces", without=("mounts", "landlock", "seccomp"))  # which allows no sockets then
        async with running(weak, needed="") as inside:
            assert to.word in await text_of(inside, to.secret.as_uri())


@with_browser
async def test_the_tool_records_the_level_and_needs_what_the_policy_needs() -> None:
    async with site() as made:
        for level in ("bubblewrap", "namespaces"):
            inside = await sandbox(level)
            if not inside.level:
                continue
            [tool] = browser_tools([f"127.0.0.1:{made.port}"], sandbox=inside).tools
            read = await tool.run(ReadPage(made.url + "/"), ToolCallInfo("c", "k", "default", ["user:ada"]))
            assert read.sandbox == level
            assert tool.definition.sandbox == LEAST
            if level == "namespaces":
                needs = ToolCallInfo("c", "k", "default", ["user:ada"], sandbox="bubblewrap")
                with pytest.raises(ToolError, match="bubblewrap is needed") as refused:
                    await tool.run(ReadPage(made.url + "/"), needs)
                assert refused.value.code == "sandbox"


@pytest.mark.parametrize("levels", [("landlock",), ("none",)])
async def test_without_a_level_that_has_a_network_of_its_own_no_browser_is_started(levels: tuple[str, ...]) -> None:
    weak = Sandbox(levels=[level for level in levels if level != "none"])
    async with site() as made:
        [tool] = browser_tools([f"127.0.0.1:{made.port}"], sandbox=weak, program="/bin/false").tools
        with pytest.raises(ToolError, match="mounts is needed") as refused:
            await tool.run(ReadPage(made.url + "/"), ToolCallInfo("c", "k", "default", ["user:ada"]))
    assert refused.value.code == "sandbox"
    assert made.asked == []


HOST = """
import asyncio
from infra.sandbox.sandbox import Sandbox
from infra.tools.browser.chromium import browser, chromium
from infra.tools.browser.proxy import GuardedProxy
from infra.tools.web.guard import Guard
async def main():
    sandbox = Sandbox()
    await sandbox.ready()
    async with browser(chromium(), GuardedProxy(Guard()), sandbox) as inside:
        await inside.tools.call("Target.createTarget", {"url": "about:blank"})
        print("begun", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@with_browser
async def test_no_process_of_the_browser_survives_a_host_that_is_killed() -> None:
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )  # fmt: skip
    assert host.stdout is not None
    try:
        assert await host.stdout.readline() == b"begun\n"
        below = family(host.pid)
        assert len(below) > 4
    finally:
        host.send_signal(signal.SIGKILL)
        await host.wait()
    await until(lambda: gone(below), f"still there: {below}")
