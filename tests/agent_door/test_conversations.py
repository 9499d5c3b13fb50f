"""Conversations over HTTP, on a real host."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.agent_door.world import Site

pytestmark = pytest.mark.timeout(180)


async def test_a_message_is_answered(site: Site) -> None:
    conversation = await site.begin(title="Birds")
    said = await site.say(conversation, "hello")
    assert (said["status"], said["text"], said["number"], said["turn"]) == ("replied", "you said hello", 1, 1)
    assert (said["models"], said["stand_in"], said["usage"]["input"]) == (["birds:parrot"], False, 5)
    assert said["cost"] is None, "nobody knows what birds cost"
    again = await site.say(conversation, "and now")
    assert (again["turn"], again["text"]) == (2, "you said and now")
    found = await site.get(f"/v1/conversations/{conversation}")
    assert [message["text"] for message in found["messages"]] == ["hello", "and now"]
    assert [turn["text"] for turn in found["turns"]] == ["you said hello", "you said and now"]
    assert (found["agent"], found["title"], found["status"], found["cost_unknown"]) == ("ada", "Birds", "open", 2)


async def test_what_goes_out_is_shown_in_the_way_of_the_channel_and_a_button_answers_an_approval(site: Site) -> None:
    for channel in ("http", "terminal"):
        conversation = await site.begin(channel=channel)
        path = f"/v1/conversations/{conversation}"
        said = await site.say(conversation, "hello")
        reply = {"number": 1, "kind": "reply", "text": "you said hello", "data": None, "buttons": []}
        assert said["messages"] == [reply]
        failed = await site.say(conversation, "boom")
        (message,) = failed["messages"]
        assert (failed["status"], message["kind"], message["number"]) == ("failed", "failure", 2)
        assert message["text"] == f"no answer: {failed['reason']}"
        await site.post(f"{path}/messages", {"text": "note bread"}, key=conversation, status=202)
        held = await site.until(path, holds=lambda c: [o for o in c["outbound"] if o["kind"] == "approval"])
        own = {"http": reply, "terminal": "you said hello"}[channel]
        assert [(o["number"], o["status"]) for o in held["outbound"]] == [(n, "delivered") for n in (1, 2, 3)]
        assert held["outbound"][0]["messages"] == [own]
        asked = await site.post(f"{path}/messages", {"text": "note bread"}, key=conversation, status=202)
        (shown,) = asked["messages"]
        assert (shown["kind"], shown["text"]) == ("approval", "desk.note asks for agreement")
        button = next(b for b in shown["buttons"] if b["label"] == "deny")
        await site.until(button["path"].removesuffix("/deny"), holds=lambda found: found["status"] == "waiting")
        await site.post(button["path"], button["body"])
        ended = await site.until(path, holds=lambda c: c["turns"][2]["status"] == "replied")
        assert ended["turns"][2]["tools"][0]["status"] == "denied"


async def test_a_conversation_is_shown_as_it_was_and_in_parts(site: Site) -> None:
    conversation = await site.begin()
    for text in ("one", "two", "three"):
        await site.say(conversation, text)
    found = await site.get(f"/v1/conversations/{conversation}?limit=1")
    assert ([turn["turn"] for turn in found["turns"]], found["more"]) == ([3], True)
    before = await site.get(f"/v1/conversations/{conversation}?limit=1&before=3")
    assert [turn["turn"] for turn in before["turns"]] == [2]
    then = await site.get(f"/v1/conversations/{conversation}?at=2")
    assert (then["version"], then["turns"], len(then["messages"]), then["waiting"]) == (2, [], 1, 1)
    assert (await site.call("GET", f"/v1/conversations/{conversation}?at=9999"))[0] == 404


async def test_without_waiting_it_is_said_where_it_stands(site: Site) -> None:
    conversation = await site.begin()
    posted = await site.post(f"/v1/conversations/{conversation}/messages", {"text": "tale 40"}, status=202)
    assert (posted["turn"], posted["status"], posted["text"]) == (1, "running", None)
    waiting = await site.post(f"/v1/conversations/{conversation}/messages", {"text": "next"}, status=202)
    assert (waiting["turn"], waiting["status"]) == (0, "waiting")
    ended = await site.until(
        f"/v1/conversations/{conversation}", holds=lambda c: len(c["turns"]) == 2 and not c["turn"]
    )
    assert [turn["status"] for turn in ended["turns"]] == ["replied", "replied"]


async def test_the_same_key_says_it_once_and_gets_the_same_answer(site: Site) -> None:
    conversation = await site.begin()
    path = f"/v1/conversations/{conversation}/messages"
    body = {"text": "hello", "wait": 30}
    found = await asyncio.gather(*(site.post(path, body, key="once") for _ in range(4)))
    assert {(one["number"], one["text"]) for one in found} == {(1, "you said hello")}
    assert sorted(one["duplicate"] for one in found) == [False, True, True, True]
    other = await site.post(path, {"text": "other"}, key="once", status=409)
    assert other["code"] == "key-reused"
    # The id of a message is as good as a key, whichever key it comes under.
    named = await site.say(conversation, "named", id="m-1")
    same = await site.post(path, {"text": "named", "id": "m-1", "wait": 30}, key="another")
    assert (same["number"], same["text"]) == (named["number"], named["text"])
    opened = [await site.post("/v1/conversations", {"agent": "ada"}, key="begin") for _ in range(2)]
    assert opened[0]["conversation"] == opened[1]["conversation"]


async def test_a_message_to_nobody_begins_a_conversation_with_the_agent_it_names(site: Site) -> None:
    said = await site.say("begun-by-a-message", "hello", agent="ada")
    assert said["text"] == "you said hello"
    assert (await site.say("nobody-here", "hello", status=404))["code"] == "not-found"
    assert (await site.say("nobody-here", "hello", agent="nobody", status=404))["code"] == "not-found"
    assert (await site.post("/v1/conversations", {"agent": "nobody"}, status=404))["code"] == "not-found"
    wrong = await site.say("begun-by-a-message", "hello", agent="echo", status=422)
    assert wrong["reason_code"] == "exists"


async def test_a_turn_that_goes_on_makes_others_wait_or_is_full(site: Site) -> None:
    conversation = await site.begin(policy="reject")
    path = f"/v1/conversations/{conversation}/messages"
    await site.post(path, {"text": "tale 150"}, status=202)
    for _ in range(2):
        status, headers, body = await site.call("POST", path, json={"text": "x"}, headers={"Idempotency-Key": "full"})
        assert (status, body["code"], int(headers["Retry-After"]) > 0) == (429, "full", True)
    await site.post(f"/v1/conversations/{conversation}/interrupt", {"reason": "enough"})
    # The key that was refused for want of room may be tried again.
    async with asyncio.timeout(30):
        while (found := await site.call("POST", path, json={"text": "x"}, headers={"Idempotency-Key": "full"}))[
            0
        ] == 429:
            pass
    assert found[0] in (200, 202)
    shown = await site.get(f"/v1/conversations/{conversation}")
    assert (shown["turns"][0]["status"], shown["turns"][0]["reason"]) == ("interrupted", "enough")


async def test_a_closed_conversation_takes_no_message(site: Site) -> None:
    conversation = await site.begin()
    await site.say(conversation, "hello")
    assert (await site.post(f"/v1/conversations/{conversation}/close", {"reason": "bye"}))["status"] == "closed"
    refused = await site.say(conversation, "hello", status=422)
    assert refused["reason_code"] == "closed"
    assert (await site.get(f"/v1/conversations/{conversation}"))["status"] == "closed"


async def test_variables_of_a_conversation(site: Site) -> None:
    conversation = await site.begin()
    path = f"/v1/conversations/{conversation}/variables"
    await site.post(path, {"name": "tone", "schema": {"type": "string"}})
    assert (await site.post(path, {"name": "tone", "value": "dry"}))["value"] == "dry"
    assert (await site.post(path, {"name": "tone", "value": 7}, status=422))["code"] == "refused"
    await site.post(path, {"name": "tone", "remove": True})
    assert (await site.post(path, {"name": "tone"}, status=400))["code"] == "invalid-data"


async def test_a_model_that_fails_fails_the_turn_and_says_why(site: Site) -> None:
    conversation = await site.begin()
    said = await site.say(conversation, "boom")
    assert (said["status"], said["text"]) == ("failed", None)
    assert "would not" in said["reason"]


async def test_conversations_are_listed(site: Site) -> None:
    conversation = await site.begin("echo")
    await site.say(conversation, "hello")
    found = await site.get("/v1/conversations?agent=echo")
    (row,) = [one for one in found["conversations"] if one["conversation"] == conversation]
    assert (row["agent"], row["status"], row["messages"], row["turns"], row["last_message"]) == (
        "echo",
        "idle",
        1,
        1,
        "hello",
    )
    first = await site.get("/v1/conversations?limit=1")
    rest = await site.get("/v1/conversations", params={"limit": 1, "after": first["next"]})
    assert first["conversations"][0]["conversation"] != rest["conversations"][0]["conversation"]


async def test_how_a_prompt_came_to_be_is_explained(site: Site) -> None:
    conversation = await site.begin()
    await site.say(conversation, "hello")
    found = await site.get(f"/v1/conversations/{conversation}/turns/1/explain")
    (prompt,) = found["prompts"]
    assert (prompt["step"], prompt["same"], prompt["tokens"] > 0) == (1, True, True)
    texts = " ".join(
        [s["text"] for s in prompt["sections"]] + [m["text"] for s in prompt["sections"] for m in s["messages"]]
    )
    assert "You are Ada." in texts
    assert "hello" in texts
    assert "MessageReceived:1" in [event for section in prompt["sections"] for event in section["events"]]
    for turn in ("2", "x", "0"):
        assert (await site.call("GET", f"/v1/conversations/{conversation}/turns/{turn}/explain"))[0] == 404


async def test_a_stand_in_says_that_it_is_one(site: Site) -> None:
    conversation = await site.begin("echo")
    said = await site.say(conversation, "hello")
    assert (said["text"], said["stand_in"], said["models"]) == ("hello", True, ["scripted:echo"])
    assert (await site.get("/v1/agents/echo"))["stand_in"] is True


async def test_wrong_requests_are_named(site: Site) -> None:
    conversation = await site.begin()
    wrong: list[dict[str, Any]] = [
        {},
        {"text": 1},
        {"text": "x", "wait": 61},
        {"text": "x", "id": ""},
        {"text": "x", "to": "y"},
    ]
    for body in wrong:
        found = await site.post(f"/v1/conversations/{conversation}/messages", body, status=400)
        assert found["code"] == "invalid-data", body
    for body in ({"agent": "ada", "id": "a b"}, {"agent": "ada", "policy": "maybe"}, {"agent": ""}):
        assert (await site.post("/v1/conversations", body, status=400))["code"] == "invalid-data", body
    assert (await site.say(conversation, "   ", status=422))["reason_code"] == "message"
    for path in ("", "/stream", "/socket", "/turns/1/explain"):
        assert (await site.call("GET", f"/v1/conversations/none{path}"))[0] == 404
