"""Tools of somebody else's MCP server on a real host: they wait for a person, go through every gate, and are disabled
again when they change."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from tests.agent_door.world import Place, Site, door, host
from tests.servers import Postgres

WORKSPACE = Path(__file__).with_name("strange_place")


@pytest.fixture
def strange(postgres_shared: Postgres, workplace: Path, tmp_path: Path) -> Iterator[Place]:
    with host(postgres_shared, workplace, WORKSPACE, THESPIS_TEST_STRANGE=str(tmp_path / "state")) as process:
        yield process


async def tool(site: Site, name: str, status: str) -> Any:
    return await site.until(f"/v1/tools/{name}", holds=lambda found: found["status"] == status)


async def test_a_foreign_tool_waits_for_a_person_and_again_when_it_changes(strange: Place) -> None:
    async with door(strange.url) as site:
        found = await tool(site, "odd.echo", "waiting")
        refused = await site.post("/v1/tools/odd.echo/run", {"arguments": {"said": "hello"}, "wait": 20})
        assert refused["status"] == "refused", refused
        await site.post("/v1/tools/odd.echo/approve", {"hash": found["pending"]["hash"]})
        await tool(site, "odd.echo", "approved")
        said = await site.post("/v1/tools/odd.echo/run", {"arguments": {"said": "hello"}, "wait": 20})
        assert said["status"] == "succeeded", said
        assert "hello" in said["text"]
        other = await tool(site, "odd.change", "waiting")
        await site.post("/v1/tools/odd.change/approve", {"hash": other["pending"]["hash"]})
        await site.post("/v1/tools/odd.change/run", {"arguments": {}, "wait": 20})
        changed = await tool(site, "odd.echo", "changed")
        assert any("description" in line for line in changed["pending"]["diff"]), changed
        refused = await site.post("/v1/tools/odd.echo/run", {"arguments": {"said": "again"}, "wait": 20})
        assert refused["status"] == "refused", refused


async def test_what_it_says_of_its_risk_is_not_believed(strange: Place, tmp_path: Path) -> None:
    async with door(strange.url) as site:
        found = await tool(site, "odd.pay", "waiting")
        assert found["pending"]["definition"]["risk"] == "write-external"
        await site.post("/v1/tools/odd.pay/approve", {"hash": found["pending"]["hash"]})
        await tool(site, "odd.pay", "approved")
        asked = await site.post(
            "/v1/tools/odd.pay/run", {"arguments": {"to": "eve", "message": "all of it"}, "wait": 20}, status=202
        )
        assert asked["approval"], asked
        assert not (tmp_path / "state.paid").exists()


async def test_thespis_is_such_a_server_for_others(served: Place, tmp_path: Path) -> None:
    """`thespis mcp serve` on a real host, driven by the library's own client: a tool, a tool that waits, an agent."""
    words = ["-P", "-m", "gateway.main", "mcp", "serve", "--url", served.url, "--patience", "20"]
    program = StdioServerParameters(command=sys.executable, args=words, env={"PYTHONPATH": os.getcwd()})
    async with Client(program) as session:
        names = {tool.name for tool in (await session.list_tools()).tools}
        assert names >= {"desk.note", "web.fetch", "agent.ada", "agent.echo"}
        noted = await session.call_tool("desk.note", {"text": "over MCP"})
        assert "noted over MCP" in str(noted.content)
        said = await session.call_tool("agent.echo", {"message": "hello"})
        assert "hello" in str(said.content)
        denied = await session.call_tool("web.fetch", {"url": "https://example.com/"})
        assert denied.is_error


@pytest.mark.parametrize("trust", [False, True])
async def test_what_a_client_of_the_protocol_sends_was_written_by_a_model(
    served: Place, site: Site, trust: bool
) -> None:
    words = ["-P", "-m", "gateway.main", "mcp", "serve", "--url", served.url, *(["--trust"] if trust else [])]
    program = StdioServerParameters(command=sys.executable, args=words, env={"PYTHONPATH": os.getcwd()})
    async with Client(program) as session:
        noted = await session.call_tool("desk.note", {"text": "from a model"})
        said = await session.call_tool("agent.echo", {"message": "hello"})
    trusted = "trusted" if trust else "untrusted"
    assert noted.structured_content is not None
    call = await site.get(f"/v1/calls/{noted.structured_content['call']}")
    assert call["labels"] == {"text": f"{trusted}/private"}
    assert said.structured_content is not None
    conversation = await site.get(f"/v1/conversations/{said.structured_content['conversation']}")
    assert conversation["messages"][0]["label"] == f"{trusted}/private"
