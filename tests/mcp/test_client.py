"""Tools of MCP servers, against a real server of the library in a child process, over stdio and over HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from actors.tools.tool import Tool, ToolCallInfo, ToolError
from events.errors import BadDefinition
from infra.embedded import ports
from infra.mcp.client import McpServers
from infra.mcp.config import McpServer, ToolRule, checked
from infra.mcp.connection import Pace, Unsure
from infra.mcp.starting import Child, starting
from infra.sandbox.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
CALL = ToolCallInfo("call/1", "key-1", "default", ["user:ada"])
SECRET = "s3cret-value"
SANDBOX = Sandbox()
"""Found out once for all of these tests."""


def over_stdio(place: Path, **more: Any) -> McpServer:
    environment = {"STRANGE_STATE": f"text:{place}/state", "STRANGE_KEY": "env:KEY", "PYTHONPATH": f"text:{ROOT}"}
    given = {"cwd": str(ROOT), "writes": [str(place)], **more}
    return McpServer("odd", command=sys.executable, args=["-m", "tests.mcp.strange"], env=environment, **given)


@asynccontextmanager
async def connected(
    server: McpServer, changed: Callable[[str, list[Tool]], None] | None = None
) -> AsyncIterator[McpServers]:
    pace = Pace(first=0.02)
    async with McpServers([server], changed, pace=pace, environment={"KEY": SECRET}, sandbox=SANDBOX) as servers:
        yield servers


def named(servers: McpServers) -> dict[str, Tool]:
    return {tool.name.partition(".")[2]: tool for tool in servers.tools()}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def paid(place: Path) -> list[str]:
    file = place / "state.paid"
    return file.read_text().split() if file.exists() else []


async def test_a_call_gives_text_json_and_names_of_what_is_not_shown(place: Path) -> None:
    async with connected(over_stdio(place)) as servers:
        tools = named(servers)
        said = await tools["echo"].run({"said": "hello"}, CALL)
        mixed = await tools["mixed"].run({}, CALL)
        structured = await tools["structured"].run({}, CALL)
    assert (said.text, said.label) == ("hello", "untrusted/private")
    assert mixed.text == "[image/png, about 3 bytes: not shown]\n\n[resource notes: file:///notes]\n\nab"
    assert structured.value == {"answer": 42}


async def test_a_promise_of_harmlessness_lowers_no_risk_and_an_admission_raises_it(place: Path) -> None:
    async with connected(over_stdio(place)) as servers:
        pay = named(servers)["pay"].definition
    assert (pay.risk, pay.effect_class, pay.via) == ("write-external", "irreversible", "mcp")
    assert pay.annotations["readOnlyHint"] is True, "kept, to be looked at"
    assert pay.roles == {"to": "destination", "message": "body"}
    assert pay.description == "Sends money."

    lowered = over_stdio(place, risk="read-local", tools={"pay": ToolRule(risk="privileged", effect_class="keyed")})
    async with connected(lowered) as servers:
        tools = named(servers)
    assert tools["echo"].definition.risk == "read-local"
    assert tools["wreck"].definition.risk == "write-external", "it admits to be destructive"
    assert tools["pay"].definition.risk == "privileged"
    assert tools["pay"].definition.effect_class == "keyed"


async def test_definitions_that_cannot_be_checked_in_bounded_time_are_left_out_with_a_reason(place: Path) -> None:
    async with connected(over_stdio(place)) as servers:
        [standing] = servers.standing()
        tools = named(servers)
    assert set(standing.left_out) == {"deep", "away", "loop", "slow regex"}
    assert "another document" in standing.left_out["away"]
    assert "pattern" not in str(tools["regex"].definition.parameters)


async def test_a_definition_that_changed_is_another_tool_and_the_old_one_is_refused(place: Path) -> None:
    told: list[list[Tool]] = []
    async with connected(over_stdio(place), lambda _, tools: told.append(tools)) as servers:
        before = named(servers)
        await before["change"].run({}, CALL)
        await until(lambda: len(told) == 2)
        after = named(servers)
        with pytest.raises(ToolError, match="differently") as refused:
            await before["echo"].run({"said": "x"}, CALL)
        assert (await after["echo"].run({"said": "x"}, CALL)).text == "x"
    assert refused.value.code == "changed"
    assert before["echo"].hash != after["echo"].hash
    assert before["pay"].hash == after["pay"].hash


async def test_a_change_nobody_was_told_of_is_found_before_the_next_call(place: Path) -> None:
    async with connected(over_stdio(place, fresh=0.0)) as servers:
        echo = named(servers)["echo"]
        (place / "state").write_text("And forwards it to me.")
        with pytest.raises(ToolError, match="differently"):
            await echo.run({"said": "x"}, CALL)


async def test_an_older_server_tells_changes_as_well(place: Path) -> None:
    told: list[list[Tool]] = []
    async with connected(over_stdio(place, legacy=True), lambda _, tools: told.append(tools)) as servers:
        await named(servers)["change"].run({}, CALL)
        await until(lambda: len(told) == 2)


async def test_a_server_killed_in_the_middle_leaves_an_irreversible_call_unknown_and_is_started_again(
    place: Path,
) -> None:
    async with connected(over_stdio(place)) as servers:
        tools = named(servers)
        with pytest.raises(Unsure, match="under way"):
            await tools["pay"].run({"to": "eve", "message": "then die"}, CALL)
        assert paid(place) == ["eve"]
        await until(lambda: servers.standing()[0].starts == 2 and servers.standing()[0].ready)
        assert (await tools["echo"].run({"said": "back"}, CALL)).text == "back"
        assert servers.standing()[0].starts == 2
    assert paid(place) == ["eve"], "nothing was repeated"


async def test_a_lost_call_that_may_be_repeated_has_failed(place: Path) -> None:
    rules = {"pay": ToolRule(effect_class="idempotent")}
    async with connected(over_stdio(place, tools=rules)) as servers:
        with pytest.raises(ToolError, match="under way") as lost:
            await named(servers)["pay"].run({"to": "eve", "message": "then die"}, CALL)
    assert lost.value.code == "lost"


async def test_a_call_that_gets_no_answer_in_time_is_unknown(place: Path) -> None:
    async with connected(over_stdio(place, call_timeout=0.3)) as servers:
        with pytest.raises(Unsure, match="no answer within"):
            await named(servers)["pay"].run({"to": "eve", "message": "for ever"}, CALL)


async def test_what_is_too_long_is_cut_and_what_is_far_too_long_ends_the_server(place: Path) -> None:
    async with connected(over_stdio(place, max_result=1000)) as servers:
        tools = named(servers)
        large = await tools["large"].run({}, CALL)
        assert len(large.text) < 1100
        assert "cut off" in large.text
        with pytest.raises(Unsure, match="more than 4194304 bytes"):
            await tools["huge"].run({}, CALL)


async def test_no_secret_comes_back_in_results_errors_or_reasons(place: Path) -> None:
    seen: list[str] = []
    async with connected(over_stdio(place)) as servers:
        tools = named(servers)
        said = await tools["secret"].run({}, CALL)
        seen += [said.text, str(said.value)]
        with pytest.raises(Unsure) as dead:
            await tools["die"].run({}, CALL)
        seen.append(str(dead.value))
        await until(lambda: servers.standing()[0].starts == 2)
        seen.append(servers.standing()[0].why)
    assert "[env:KEY]" in said.text
    assert SECRET not in "".join(seen)


async def test_a_server_that_cannot_be_started_holds_nobody_up_and_says_why(place: Path) -> None:
    missing = McpServer("odd", command=str(place / "nothing"))
    silent = McpServer("mute", command=sys.executable, args=["-c", "import time; time.sleep(60)"], start_timeout=0.3)
    unset = McpServer("unset", command=sys.executable, env={"KEY": "env:NOT_SET"})
    async with McpServers([missing, silent, unset], pace=Pace(first=30.0)) as servers:
        why = {standing.name: standing.why for standing in servers.standing()}
        assert servers.tools() == []
    assert "could not be started" in why["odd"]
    assert "not ready within 0.3 s" in why["mute"]
    assert "env:NOT_SET is not set" in why["unset"]


async def test_nothing_of_a_server_is_left_when_it_is_ended(place: Path) -> None:
    pids: list[int] = []

    async def launch(server: McpServer, environment: Mapping[str, str]) -> Child:
        made = await starting(Sandbox())(server, environment)
        pids.extend([made.process.pid, *(each.pid for each in psutil.Process(made.process.pid).children(True))])
        return made

    async with McpServers([over_stdio(place)], environment={"KEY": SECRET}, launch=launch):
        assert len(pids) > 1
        assert all(psutil.pid_exists(pid) for pid in pids)
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.parametrize(
    "wrong",
    [
        McpServer("Odd", command="x"),
        McpServer("odd"),
        McpServer("odd", command="x", url="http://localhost"),
        McpServer("odd", command="x", env={"KEY": "plain"}),
        McpServer("odd", url="http://example.com/mcp", headers={"Authorization": "env:KEY"}),
        McpServer("odd", url="https://user:pass@example.com/mcp"),
        McpServer("odd", command="x", risk="none"),
        McpServer("odd", command="x", tools={"a": ToolRule(roles={"to": "anything"})}),
    ],
)
def test_a_configuration_that_contradicts_itself_or_holds_a_secret_is_refused(wrong: McpServer) -> None:
    with pytest.raises(BadDefinition):
        checked(wrong)


# -- over HTTP


@asynccontextmanager
async def http_server(place: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {**os.environ, "STRANGE_STATE": str(place / "state"), "STRANGE_KEY": SECRET, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.mcp.strange", "--http", str(port), env=environment, cwd=ROOT
    )
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    break
                except OSError:
                    await asyncio.sleep(0.02)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def over_http(port: int, **more: Any) -> McpServer:
    return McpServer("odd", url=f"http://127.0.0.1:{port}/mcp", headers={"Authorization": "env:KEY"}, **more)


@pytest.mark.parametrize("legacy", [False, True])
async def test_over_http_it_is_the_same(place: Path, legacy: bool) -> None:
    told: list[list[Tool]] = []
    port = ports.free()
    async with (
        http_server(place, port),
        connected(over_http(port, legacy=legacy), lambda _, t: told.append(t)) as servers,
    ):
        tools = named(servers)
        assert (await tools["echo"].run({"said": "hello"}, CALL)).text == "hello"
        with pytest.raises(ToolError, match="does not work"):
            await tools["fail"].run({}, CALL)
        await tools["change"].run({}, CALL)
        await until(lambda: len(told) == 2)


async def test_over_http_a_killed_server_leaves_the_call_unknown_and_the_next_unsent(place: Path) -> None:
    port = ports.free()
    async with connected(over_http(port)) as servers:
        async with http_server(place, port):
            await until(lambda: bool(servers.tools()))
            tools = named(servers)
            with pytest.raises(Unsure):
                await tools["pay"].run({"to": "eve", "message": "then die"}, CALL)
        async with http_server(place, port) as process:
            await until(lambda: servers.standing()[0].ready)
            assert (await tools["echo"].run({"said": "back"}, CALL)).text == "back"
            process.send_signal(signal.SIGKILL)
            await process.wait()
            with pytest.raises(ToolError, match=r"reached|connected") as unsent:
                await tools["pay"].run({"to": "bob"}, CALL)
    assert unsent.value.code == "unavailable"
    assert paid(place) == ["eve"]


async def test_over_http_an_answer_that_is_far_too_large_is_given_up(place: Path) -> None:
    port = ports.free()
    async with http_server(place, port), connected(over_http(port)) as servers:
        with pytest.raises(Unsure):
            await named(servers)["huge"].run({}, CALL)
        await until(lambda: servers.standing()[0].ready)
        assert (await named(servers)["echo"].run({"said": "still"}, CALL)).text == "still"
