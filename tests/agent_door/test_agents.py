"""Agents, tools, policies, costs and budgets over HTTP, on a real host."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.agent_door.world import Site

pytestmark = pytest.mark.timeout(180)

CLERK = """---
name: clerk
description: Writes things down.
model: birds:parrot
tools: desk.*
---
You write things down.
"""


async def test_agents_of_a_workspace_are_there(site: Site) -> None:
    found = await site.get("/v1/agents")
    rows = {row["name"]: row for row in found["agents"]}
    assert (rows["ada"]["state"], rows["ada"]["version"], rows["ada"]["scripted"]) == ("ready", 1, False)
    assert (rows["echo"]["models"], rows["echo"]["scripted"]) == (["scripted:echo"], True)
    ada = await site.get("/v1/agents/ada")
    assert (ada["current"], ada["newest"], ada["definition"]["instructions"].strip()) == (1, 1, "You are Ada.")
    assert ada["source"].startswith("---\nname: ada\n")
    assert (await site.call("GET", "/v1/agents/nobody"))[0] == 404
    assert (await site.call("GET", "/v1/agents/ada?version=9"))[0] == 404
    assert (await site.get("/v1/agent-schema"))["title"] == "Thespis agent"


async def test_a_definition_is_published_and_the_same_again_changes_nothing(site: Site) -> None:
    first = await site.publish_agent(CLERK, headers={"Idempotency-Key": "clerk"})
    assert (first["name"], first["version"], first["published"], first["duplicate"]) == ("clerk", 1, True, False)
    again = await site.publish_agent(CLERK, headers={"Idempotency-Key": "clerk"})
    assert (again["version"], again["duplicate"]) == (1, True)
    assert (await site.publish_agent(CLERK))["published"] is False
    assert (await site.publish_agent(CLERK.replace("things", "all")))["version"] == 2
    old = await site.get("/v1/agents/clerk?version=1")
    assert (old["version"], old["newest"], old["source"]) == (1, 2, CLERK)


async def test_a_wrong_definition_is_refused_with_everything_that_is_wrong(site: Site) -> None:
    text = "---\nname: Clerk\nmodel: [3]\ntools: [desk.nothing]\ncolour: red\n---\nx\n"
    found = await site.publish_agent(text, status=422, params={"file": "clerk.md"})
    assert (found["code"], len(found["problems"]) >= 3) == ("definition", True)
    assert {problem["file"] for problem in found["problems"]} == {"clerk.md"}
    image = await site.call("POST", "/v1/agents", data=b"x", headers={"Content-Type": "image/png"})
    assert (image[0], image[2]["code"]) == (415, "unsupported-media-type")


async def test_an_agent_is_operated(site: Site) -> None:
    await site.publish_agent(CLERK.replace("clerk", "mover"))
    await site.until("/v1/agents/mover", holds=lambda found: found["state"] == "ready")
    await site.post("/v1/agents/mover/stop", {"reason": "closing time"})
    stopped = await site.get("/v1/agents/mover")
    assert (stopped["state"], stopped["reason"]) == ("stopped", "closing time")
    said = await site.say("with-mover", "hello", agent="mover")
    assert (said["status"], said["text"]) == ("failed", None)
    illegal = await site.post("/v1/agents/mover/drain", {}, status=422)
    assert illegal["code"] == "refused"
    await site.post("/v1/agents/mover/start")
    await site.until("/v1/agents/mover", holds=lambda found: found["state"] == "ready")
    assert (await site.say("with-mover", "hello"))["text"] == "you said hello"
    await site.post("/v1/agents/mover/sing", status=404)
    await site.post("/v1/agents/nobody/start", status=404)


async def test_a_tool_is_run_through_every_gate(site: Site) -> None:
    tool = await site.get("/v1/tools/desk.note")
    assert (tool["status"], tool["definition"]["risk"], tool["pending"]) == ("approved", "write-reversible", None)
    ran = await site.post("/v1/tools/desk.note/run", {"arguments": {"text": "milk"}}, key="milk")
    assert (ran["status"], ran["data"], ran["decision"]) == ("succeeded", {"noted": "milk"}, "allow")
    assert (ran["risk"], ran["arguments"], ran["approval"]) == ("write-reversible", {"text": "milk"}, None)
    again = await site.post("/v1/tools/desk.note/run", {"arguments": {"text": "milk"}}, key="milk")
    assert (again["call"], again["duplicate"]) == (ran["call"], True)
    other = await site.post("/v1/tools/desk.note/run", {"arguments": {"text": "tea"}}, key="milk", status=409)
    assert other["code"] == "key-reused"
    shown = await site.get(f"/v1/calls/{ran['call']}")
    assert (shown["status"], shown["requesters"]) == ("succeeded", ["user:local"])
    dry = await site.post("/v1/tools/desk.note/run", {"arguments": {"text": "x"}, "dry": True})
    assert (dry["status"], dry["stage"], dry["data"]) == ("cancelled", "dry", None)
    wrong = await site.post("/v1/tools/desk.note/run", {"arguments": {"colour": "red"}})
    assert wrong["status"] in ("failed", "refused")
    await site.post("/v1/tools/nothing/run", {}, status=404)
    assert (await site.call("GET", "/v1/calls/nothing"))[0] == 404


async def test_a_disabled_tool_lets_nothing_in_until_it_is_approved(site: Site) -> None:
    await site.post("/v1/tools/desk.note/disable", {"reason": "broken pencil"})
    refused = await site.post("/v1/tools/desk.note/run", {"arguments": {"text": "x"}})
    assert (refused["status"], refused["data"]) == ("refused", None)
    tool = await site.get("/v1/tools/desk.note")
    assert (tool["status"], tool["reason"]) == ("disabled", "broken pencil")
    assert (await site.post("/v1/tools/desk.note/approve", {"hash": "00"}, status=422))["code"] == "refused"
    await site.post("/v1/tools/desk.note/approve", {"hash": tool["hash"], "note": "sharpened"})
    ran = await site.post("/v1/tools/desk.note/run", {"arguments": {"text": "y"}})
    assert ran["status"] == "succeeded"


async def test_policies_are_shown_and_published(site: Site) -> None:
    found = await site.get("/v1/policies/default")
    assert (found["version"], "writing" in found["source"]) == (1, True)
    headers = {"Content-Type": "application/yaml"}
    wrong = await site.call("POST", "/v1/policies/other", data="name: other\nrules: 7\n", headers=headers)
    assert (wrong[0], wrong[2]["code"]) == (422, "definition")
    status, _, body = await site.call("POST", "/v1/policies/other", data="name: other\ngrants: [x]\n", headers=headers)
    assert (status, body["name"], body["version"]) == (200, "other", 1)
    assert (await site.call("GET", "/v1/policies/none"))[0] == 404


async def test_costs_add_up_whatever_they_are_summed_by(site: Site) -> None:
    for agent in ("ada", "echo"):
        conversation = await site.begin(agent)
        for text in ("one", "two"):
            await site.say(conversation, text)
    for by in ("agent", "conversation", "model", "day", "agent,day", "turn", "step", "cause", "tenant"):
        found = await site.get("/v1/costs", params={"by": by})
        for name in ("usd", "estimated"):
            assert sum(Decimal(group[name]) for group in found["groups"]) == Decimal(found["total"][name]), by
        for name in ("unknown", "calls", "input", "output"):
            assert sum(group[name] for group in found["groups"]) == found["total"][name], by
    by_total = await site.get("/v1/costs?by=agent")
    by_agent = {g["group"]["agent"]: g for g in by_total["groups"]}
    assert by_agent["ada"]["unknown"] >= 2, "birds have no price"
    assert (by_agent["echo"]["unknown"], by_agent["echo"]["usd"]) == (0, "0")
    one = await site.get("/v1/costs", params={"by": "turn", "conversation": conversation})
    assert [group["group"]["turn"] for group in one["groups"]] == [1, 2]
    assert (await site.get("/v1/costs?from=2001-01-01&to=2001-01-02"))["total"]["calls"] == 0
    again = await site.get("/v1/costs?by=agent&prices=current")
    assert (again["prices"], again["total"]) == ("current", by_total["total"]), "the list is the same"
    for query in ("by=colour", "from=yesterday", "prices=mine"):
        assert (await site.call("GET", f"/v1/costs?{query}"))[0] == 400


async def test_budgets_are_set_and_keep_calls_out(site: Site) -> None:
    await site.publish_agent(CLERK.replace("clerk", "poor").replace("tools:", "budgets: {agent: 1}\ntools:"))
    await site.until("/v1/agents/poor", holds=lambda found: found["state"] == "ready")
    said = await site.say("poor-one", "hello", agent="poor")
    assert said["status"] == "replied"
    set_ = await site.post("/v1/budgets/agent.poor", {"usd": "0"}, key="set")
    assert (set_["budget"], set_["usd"], set_["duplicate"]) == ("agent.poor", "0", False)
    said = await site.say("poor-one", "hello again")
    assert (said["status"], said["code"]) == ("failed", "budget")
    rows = {row["budget"]: row for row in (await site.get("/v1/budgets?scope=agent"))["budgets"]}
    assert (rows["agent.poor"]["usd"], rows["agent.poor"]["refused"]) == ("0", 1)
    bad: list[tuple[str, dict[str, Any]]] = [
        ("agent.poor", {"usd": "-1"}), ("agent.poor", {"usd": 1.5}), ("agent.poor", {}), ("nothing", {"usd": "1"}),
        ("tenant.other", {"usd": "1"}),
    ]  # fmt: skip
    for name, body in bad:
        assert (await site.post(f"/v1/budgets/{name}", body, status=400))["code"] == "invalid-data", (name, body)


async def test_what_an_agent_wants_waits_for_somebody_else_than_who_asked(site: Site) -> None:
    conversation = await site.begin()
    await site.post(f"/v1/conversations/{conversation}/messages", {"text": "note bread"}, status=202)
    path = f"/v1/conversations/{conversation}"
    held = await site.until(path, holds=lambda c: c["turns"] and [t for t in c["turns"][0]["tools"] if t["approval"]])
    (tool,) = held["turns"][0]["tools"]
    call = await site.get(f"/v1/calls/{tool['call']}")
    assert (call["status"], call["approval"], call["digest"]) == ("waiting", tool["approval"], tool["digest"])
    assert (call["requesters"], call["why"]) == (["user:local", "agent/ada"], "it is written down")
    asked = await site.until(f"/v1/approvals/{tool['approval']}", holds=lambda found: found["status"] == "waiting")
    assert asked["what"]["arguments"] == {"text": "bread"}
    await site.deny(tool["approval"])
    ended = await site.until(path, holds=lambda c: c["turns"][0]["status"] == "replied")
    assert ended["turns"][0]["tools"][0]["status"] == "denied"
