"""Going through a conversation again: silently, against the record, and as it would have been."""

from __future__ import annotations

from typing import Any

import pytest

from tests.agent_door.world import Site

pytestmark = pytest.mark.timeout(180)

STRICT = "name: strict\ngrants: []\n"


async def noted(site: Site) -> str:
    """A conversation of two turns, in the second of which a tool was denied."""
    conversation = await site.begin()
    await site.say(conversation, "hello")
    await site.post(f"/v1/conversations/{conversation}/messages", {"text": "note milk"}, status=202)
    path = f"/v1/conversations/{conversation}"
    held = await site.until(path, holds=lambda c: [t for turn in c["turns"] for t in turn["tools"] if t["approval"]])
    await site.deny(held["turns"][1]["tools"][0]["approval"])
    await site.until(path, holds=lambda c: not c["turn"] and len(c["turns"]) == 2)
    await site.until("/v1/agents/ada", holds=lambda agent: agent["state"] == "ready")  # it is told last
    return path


async def test_a_conversation_is_folded_line_by_line(site: Site) -> None:
    path = await noted(site)
    head = (await site.get("/v1/events?limit=1"))["head"]
    found = await site.get(f"{path}/replay")
    said = [(line["who"], line["what"], line["text"]) for line in found["lines"]]
    assert ("user", "wrote", "hello") in said
    assert ("agent", "replied", "you said hello") in said
    assert ("tool", "denied") in [(who, what) for who, what, _ in said]
    assert [(turn["turn"], turn["path"], turn["status"]) for turn in found["turns"]] == [
        (1, [], "replied"), (2, ["desk.note"], "replied"),
    ]  # fmt: skip
    then = await site.get(f"{path}/replay?at=3")
    assert (then["version"], len(then["lines"]) < len(found["lines"])) == (3, True)
    assert (await site.call("GET", f"{path}/replay?at=9999"))[0] == 404
    assert (await site.get("/v1/events?limit=1"))["head"] == head, "it is silent"


async def test_todays_code_does_what_was_recorded(site: Site) -> None:
    path = await noted(site)
    for turn, turns in ((1, 2), (2, 1)):
        found = await site.post(f"{path}/rerun", {"from": turn})
        assert (found["divergence"], found["turns"], found["compared"] > 5) == (None, turns, True)
    await site.post(f"{path}/rerun", {"from": 3}, status=404)


async def test_another_model_answers_the_same_messages(site: Site) -> None:
    path = await noted(site)
    version = (await site.get(path))["version"]
    found = await site.post(f"{path}/whatif", {"models": ["scripted:echo"]})
    first, second = found["turns"]
    assert (first["before"]["text"], first["after"]["text"], first["same_answer"]) == ("you said hello", "hello", False)
    assert (second["before"]["path"], second["after"]["path"], second["same_path"]) == (["desk.note"], [], False)
    assert (found["cost_before"], found["cost_after"], found["stopped"]) == (None, "0", None)
    same = await site.post(f"{path}/whatif", {"instructions": "You are somebody else."})
    assert [turn["same_answer"] for turn in same["turns"]] == [True, True], "what the tool said is in the record"
    strict = await site.post(f"{path}/whatif", {"policy": STRICT, "from": 2})
    assert "not granted" in strict["turns"][0]["after"]["text"]
    assert (await site.post(f"{path}/whatif", {"policy": "rules: 7"}, status=422))["code"] == "definition"
    assert (await site.post(f"{path}/whatif", {"models": ["x"]}, status=400))["code"] == "invalid-data"
    nowhere = await site.post(f"{path}/whatif", {"models": ["scripted:echo", "nobodys:model"]}, status=400)
    assert "there is no provider 'nobodys' here: birds, scripted" in nowhere["detail"]
    failed = await site.post(f"{path}/whatif", {"models": ["scripted:nothing"], "from": 2})
    assert (failed["turns"][0]["after"]["status"], failed["turns"][0]["before"]["reason"]) == ("failed", "")
    assert "nothing" in failed["turns"][0]["after"]["reason"]
    assert (await site.get(path))["version"] == version, "the conversation stays as it was"


async def test_what_models_cost_in_a_what_if_counts_once_and_is_told_apart(site: Site) -> None:
    front = "name: thrifty\nmodel: birds:parrot\nestimate: 0.25\nbudgets: {agent: 1, conversation: 1}"
    await site.publish_agent(f"---\n{front}\n---\nRepeat.\n")
    await site.until("/v1/agents/thrifty", holds=lambda found: found["state"] == "ready")
    conversation = await site.begin("thrifty")
    await site.say(conversation, "hello")
    path = f"/v1/conversations/{conversation}"
    body = {"instructions": "Be somebody else."}
    found = [await site.post(f"{path}/whatif", body, key=f"{conversation}-once") for _ in range(2)]
    assert found[0] == found[1]
    assert found[0]["turns"][0]["after"]["text"] == "you said hello"

    async def costs() -> dict[str, tuple[int, int]]:
        out = await site.get(f"/v1/costs?by=purpose&conversation={conversation}")
        assert sum(group["calls"] for group in out["groups"]) == out["total"]["calls"]
        return {group["group"]["purpose"]: (group["calls"], group["unknown"]) for group in out["groups"]}

    assert await costs() == {"turn": (1, 1), "what-if": (1, 1)}

    def spent(found: Any) -> tuple[str, str]:
        by_name = {budget["budget"]: budget["spent"] for budget in found["budgets"]}
        return by_name["agent.thrifty"], by_name[f"conversation.{conversation}"]

    await site.until("/v1/budgets?limit=500", holds=lambda found: spent(found) == ("0.5", "0.25"))
    events = [e["type"] for e in (await site.get(f"/v1/events?stream=whatif/{found[0]['whatif']}"))["events"]]
    assert [type for type in events if type != "MessageHandled"] == ["WhatIfBegun", "WhatIfAsked", "WhatIfAnswered"]
    await site.post("/v1/budgets/agent.thrifty", {"usd": "0.5"})
    stopped = await site.post(f"{path}/whatif", body)
    assert "budget/agent.thrifty has nothing left" in stopped["stopped"]["why"]
    assert await costs() == {"turn": (1, 1), "what-if": (1, 1)}
    other = await site.post(f"{path}/whatif", {"temperature": 0.5}, key=f"{conversation}-once", status=409)
    assert other["code"] == "key-reused"


async def test_a_call_that_is_not_in_the_record_is_not_made(site: Site) -> None:
    conversation = await site.begin("echo")
    await site.say(conversation, "note bread")
    found = await site.post(f"/v1/conversations/{conversation}/whatif", {"models": ["birds:parrot"]})
    assert found["stopped"] is None, "echo has no tools, so none is called"
    assert found["turns"][0]["after"]["status"] in ("replied", "failed")
