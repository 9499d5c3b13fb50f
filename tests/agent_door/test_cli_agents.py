"""`thespis agents`, `conversations`, `tools`, `costs` and `budgets`: against a real host, and without any server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from tests.agent_door.terminal import once
from tests.agent_door.world import PLACE, Place, Site

pytestmark = pytest.mark.timeout(240)

WRONG = "---\nname: Wrong Name\nmodel: [3]\ncolour: red\n---\nx\n"
DIARY = """---
name: diary
model: birds:parrot
---
You keep a diary.
"""


class At:
    """The command line, with a host to talk to."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def __call__(self, *arguments: str, status: int = 0, **how: Any) -> str:
        return await asyncio.to_thread(once, self.url, *arguments, status=status, **how)

    async def json(self, *arguments: str, status: int = 0, **how: Any) -> Any:
        return json.loads(await self(*arguments, "-o", "json", status=status, **how))


@pytest.fixture
def at(served: Place) -> At:
    return At(served.url)


async def test_definitions_are_checked_without_a_server(tmp_path: Path) -> None:
    nowhere = At("http://127.0.0.1:9")
    assert await nowhere("agents", "check", str(PLACE / "ada.agent.md")) == "1 file, no problems\n"
    wrong = tmp_path / "wrong.md"
    wrong.write_text(WRONG)
    lines = (await nowhere("agents", "check", str(wrong), status=1)).splitlines()
    assert len(lines) >= 3
    assert all(line.startswith(f"{wrong}:") and line.split(":")[1].isdigit() for line in lines)
    assert len(await nowhere.json("agents", "check", str(wrong), status=1)) == len(lines)
    assert (await nowhere.json("agents", "schema"))["required"] == ["name", "model"]


async def test_agents_are_listed_shown_published_and_operated(at: At, tmp_path: Path) -> None:
    listed = await at("agents", "list")
    assert "scripted:echo (stand-in)" in listed
    assert (await at("agents", "show", "ada", "--source")) == (PLACE / "ada.agent.md").read_text()
    assert "ready" in await at("agents", "show", "ada")
    file = tmp_path / "diary.md"
    file.write_text(DIARY)
    published = await at.json("agents", "publish", str(file), "--key", "diary")
    assert (published["name"], published["version"], published["published"]) == ("diary", 1, True)
    again = await at.json("agents", "publish", str(file), "--key", "diary")
    assert again["duplicate"] is True
    file.write_text(WRONG)
    problems = await at("agents", "publish", str(file), status=4)
    assert f"{file}:" in problems
    assert problems.splitlines()[-2].startswith("error[definition]:")
    await at("agents", "move", "ada", "stop", "--reason", "lunch")
    assert (await at.json("agents", "show", "ada"))["state"] == "stopped"
    assert (await at("agents", "move", "ada", "drain", status=5)).startswith("error[refused]:")
    await at("agents", "move", "ada", "start")
    await at("agents", "show", "nobody", status=3)


async def test_conversations_are_listed_shown_explained_and_gone_through_again(at: At, site: Site) -> None:
    await site.until("/v1/agents/ada", holds=lambda found: found["state"] == "ready")
    conversation = await site.begin(title="Talk")
    await site.say(conversation, "hello")
    await site.say(conversation, "and now")
    assert conversation in await at("conversations", "list", "--agent", "ada")
    shown = await at("conversations", "show", conversation)
    for part in ("“Talk” with ada", "local: hello", "ada: you said and now", "turn 2: replied, birds:parrot, unknown"):
        assert part in shown
    assert (await at.json("conversations", "show", conversation, "--at", "2"))["turns"] == []
    explained = await at("agents", "explain", f"{conversation}.1", "--text")
    for part in ("put together again: the same", "You are Ada.", "MessageReceived:1@"):
        assert part in explained
    await at("agents", "explain", "nonsense", status=4)
    lines = (await at("conversations", "replay", conversation)).splitlines()
    assert [line for line in lines if "agent replied  you said and now" in line]
    rerun = await at("conversations", "rerun", conversation, "--from", "1")
    assert rerun.strip().endswith("2 turns as recorded")
    whatif = await at("conversations", "whatif", conversation, "--model", "scripted:echo", "--from", "2")
    assert "was (replied): you said and now" in whatif
    assert "now (replied): and now" in whatif
    assert "cost: unknown → $0" in whatif
    lines = await site.begin("echo")
    await site.say(lines, "one\ntwo")
    whatif = await at("conversations", "whatif", lines, "--temperature", "1")
    assert "  the same answer: one\n    two\n" in whatif
    await at("conversations", "show", "none", status=3)


async def test_tools_are_listed_shown_run_disabled_and_approved(at: At) -> None:
    assert "desk.note" in await at("tools", "list", "--risk", "write-reversible")
    shown = await at.json("tools", "show", "desk.note")
    assert (shown["status"], shown["definition"]["roles"]) == ("approved", {"text": "body"})
    ran = await at.json("tools", "run", "desk.note", "--input", "text=cli", "--key", "cli")
    assert (ran["status"], ran["data"]) == ("succeeded", {"noted": "cli"})
    assert (await at.json("tools", "run", "desk.note", "--input", "text=cli", "--key", "cli"))["call"] == ran["call"]
    assert "dry" in await at("tools", "run", "desk.note", "--input", "text=x", "--dry", status=1)
    await at("tools", "disable", "desk.note", "--reason", "lost")
    assert "refused" in await at("tools", "run", "desk.note", "--input", "text=x", status=1)
    await at("tools", "approve", "desk.note", input="n\n", status=130)
    await at("tools", "approve", "desk.note", input="y\n")
    assert (await at.json("tools", "show", "desk.note"))["status"] == "approved"
    assert (await at("tools", "approve", "desk.note", status=5)).startswith("error[conflict]:")
    await at("tools", "show", "nothing", status=3)


async def test_a_policy_that_there_is_not_is_told_with_the_command_that_lists_them(at: At) -> None:
    hint = (await at("policy", "show", "nope", status=3)).splitlines()[-1]
    assert hint == "hint: `thespis policy list` lists them"
    (found,) = await at.json("policy", "list")
    assert found["name"] == "default"
    line = (await at("policy", "list")).splitlines()[1].split()
    assert line[:3] == ["default", str(found["version"]), found["hash"]]
    shown = (await at("policy", "show", found["name"])).splitlines()
    assert [line.split() for line in shown[:2]] == [["version", str(found["version"])], ["hash", found["hash"]]]


async def test_costs_and_budgets(at: At, site: Site) -> None:
    await site.say("costly", "hello", agent="echo")
    found = await at.json("costs", "--by", "agent,model")
    assert {"agent": "echo", "model": "scripted:echo"} in [group["group"] for group in found["groups"]]
    table = await at("costs", "--by", "conversation")
    assert table.splitlines()[-1].startswith("total")
    assert (await at.json("costs", "--by", "agent,model", "--reprice")) == {**found, "prices": "current"}
    assert (await at("costs", "--by", "colour", status=4)).startswith("error[invalid-data]:")
    set_ = await at.json("budgets", "set", "agent.echo", "2.50", "--period", "day")
    assert (set_["usd"], set_["period"]) == ("2.50", "day")
    listed = await at.json("budgets", "list", "--scope", "agent")
    (echo,) = [row for row in listed if row["budget"] == "agent.echo"]
    assert (echo["usd"], echo["period"]) == ("2.50", "day")
    await at("budgets", "set", "agent.echo", "none")
    assert "no limit" in await at("budgets", "list")
    await at("budgets", "set", "nothing", "1", status=4)


async def test_what_is_wrong_with_an_agent_is_said_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "eve.agent.md").write_text("---\nname: eve\nmodle: scripted:echo\n---\nYou are Eve.\n")
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        arguments = ("--workspace", str(tmp_path), "--data", str(tmp_path / "data"), "--port")
        said = await asyncio.to_thread(once, "", "up", *arguments, str(taken.getsockname()[1]), status=5)
    assert "eve.agent.md:3:1: /modle: unknown key 'modle' (did you mean model?)" in said
