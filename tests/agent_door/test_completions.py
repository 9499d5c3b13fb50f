"""OpenAI's protocol, spoken by a plain client that takes nothing but the shapes that its own clients take."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict

from tests.agent_door.world import Place, Site, door

pytestmark = pytest.mark.timeout(240)

URL = "/v1/chat/completions"


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Details(Strict):
    cached_tokens: int


class Reasoning(Strict):
    reasoning_tokens: int


class Usage(Strict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: Details
    completion_tokens_details: Reasoning


class Message(Strict):
    role: Literal["assistant"]
    content: str
    refusal: None


class Choice(Strict):
    index: Literal[0]
    message: Message
    logprobs: None
    finish_reason: Literal["stop"]


class Completion(Strict):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    thespis: dict[str, Any]


class Delta(Strict):
    role: Literal["assistant"] | None = None
    content: str | None = None


class Part(Strict):
    index: Literal[0]
    delta: Delta
    logprobs: None
    finish_reason: Literal["stop"] | None


class Chunk(Strict):
    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[Part]
    usage: Usage | None = None
    thespis: dict[str, Any] | None = None


class Told(Strict):
    message: str
    type: str
    param: None
    code: str


class Failure(Strict):
    error: Told


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


async def complete(site: Site, *messages: dict[str, Any], key: str = "", **more: Any) -> Completion:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"model": "ada", "messages": list(messages), **more}
    status, _, answer = await site.call("POST", URL, json=body, headers=headers)
    assert status == 200, answer
    return Completion.model_validate(answer)


async def fails(site: Site, status: int, **body: Any) -> Told:
    found, headers, answer = await site.call("POST", URL, json=body)
    assert (found, headers["Content-Type"].partition(";")[0]) == (status, "application/json"), answer
    return Failure.model_validate(answer).error


async def chunks(site: Site, *messages: dict[str, Any], **more: Any) -> AsyncGenerator[Chunk | Failure]:
    """Chunks until `[DONE]`, or an error that ends them."""
    body = {"model": "ada", "messages": list(messages), "stream": True, **more}
    async with site.session.post(site.url + URL, json=body) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].partition(";")[0] == "text/event-stream"
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if not line or line.startswith(":"):
                continue
            name, _, value = line.partition(": ")
            assert name == "data"
            if value == "[DONE]":
                return
            if value.startswith('{"error"'):
                yield Failure.model_validate_json(value)
                return
            yield Chunk.model_validate_json(value)
    raise AssertionError("the stream ended without [DONE]")


async def test_an_agent_answers_as_a_model_would(site: Site) -> None:
    found = await complete(site, user("hello"))
    assert (found.model, found.choices[0].message.content) == ("ada", "you said hello")
    assert (found.usage.prompt_tokens, found.usage.completion_tokens, found.usage.total_tokens) == (5, 3, 8)
    assert found.usage.prompt_tokens_details.cached_tokens == 2
    assert (found.thespis["models"], found.thespis["stand_in"]) == (["birds:parrot"], False)
    seen = await site.get(f"/v1/conversations/{found.thespis['conversation']}")
    assert [message["text"] for message in seen["messages"]] == ["hello"]


async def test_a_conversation_goes_on_by_its_name_or_its_user(site: Site) -> None:
    first = await complete(site, user("one"), metadata={"conversation": "named-one"})
    turns = [user("one"), {"role": "assistant", "content": "you said one"}, user("two")]
    second = await complete(site, *turns, metadata={"conversation": "named-one"})
    assert (first.thespis["turn"], second.thespis["turn"]) == (1, 2)
    assert second.choices[0].message.content == "you said two", "what was said before is known there"
    mine = [await complete(site, user(f"n{n}"), user=who) for n, who in ((1, "u1"), (2, "u1"), (3, "u2"))]
    places = [(one.thespis["conversation"], one.thespis["turn"]) for one in mine]
    assert places[0][0] == places[1][0] != places[2][0]
    assert [turn for _, turn in places] == [1, 2, 1]


async def test_a_new_conversation_is_given_all_that_was_said(site: Site) -> None:
    history = [
        {"role": "system", "content": "Be brief."},
        user("My name is Bo."),
        {"role": "assistant", "content": "Hello Bo."},
        {"role": "user", "content": [{"type": "text", "text": "Who am "}, {"type": "text", "text": "I?"}]},
    ]
    found = await complete(site, *history)
    said = found.choices[0].message.content
    for part in ("system: Be brief.", "My name is Bo.", "assistant: Hello Bo.", "user: Who am I?"):
        assert part in said


async def test_the_same_key_is_the_same_answer(site: Site) -> None:
    for more in ({}, {"user": "keyed"}, {"metadata": {"conversation": "keyed"}}):
        key = f"key-{len(str(more))}"
        first = await complete(site, user("once"), key=key, **more)
        again = await complete(site, user("once"), key=key, **more)
        assert first == again


async def test_an_answer_is_streamed_in_pieces_that_add_up(site: Site) -> None:
    found = [c async for c in chunks(site, user("tale 40"), stream_options={"include_usage": True})]
    parts = [chunk for chunk in found if isinstance(chunk, Chunk)]
    assert len(parts) == len(found)
    assert parts[0].choices[0].delta.role == "assistant"
    text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
    assert text == " ".join(f"w{n}" for n in range(40))
    assert len([part for part in parts if part.choices and part.choices[0].delta.content]) > 2
    assert [part.choices[0].finish_reason for part in parts if part.choices][-1] == "stop"
    assert parts[-1].choices == []
    assert parts[-1].usage is not None
    assert (parts[-1].usage.prompt_tokens, parts[-1].usage.completion_tokens) == (7, 40)
    assert len({part.id for part in parts}) == 1


async def test_without_asking_there_is_no_usage_in_the_stream(site: Site) -> None:
    found = [c async for c in chunks(site, user("hello"), user="streaming")]
    assert all(isinstance(chunk, Chunk) and chunk.usage is None and chunk.choices for chunk in found)


async def test_errors_have_the_form_its_clients_know(site: Site) -> None:
    hello = [user("hello")]
    told = await fails(site, 404, model="nobody", messages=hello)
    assert (told.type, told.code) == ("not_found_error", "model_not_found")
    wrong: list[dict[str, Any]] = [
        {"messages": hello}, {"model": "ada", "messages": []}, {"model": "ada", "messages": [{"role": "user"}]},
        {"model": "ada", "messages": hello, "n": 2}, {"model": "ada", "messages": hello, "tools": [{}]},
        {"model": "ada", "messages": hello, "response_format": {"type": "json_object"}},
        {"model": "ada", "messages": hello, "stop": ["x"]}, {"model": "ada", "messages": hello, "logprobs": True},
        {"model": "ada", "messages": [*hello, {"role": "assistant", "content": "x"}]},
        {"model": "ada", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
    ]  # fmt: skip
    for body in wrong:
        assert (await fails(site, 400, **body)).type == "invalid_request_error", body
    told = await fails(site, 502, model="ada", messages=[user("boom")])
    assert (told.type, "would not" in told.message) == ("server_error", True)
    await complete(site, user("x"), metadata={"conversation": "with-ada"})
    other = await fails(site, 409, model="echo", messages=hello, metadata={"conversation": "with-ada"})
    assert other.type == "invalid_request_error"


async def test_a_stream_that_fails_says_so_at_its_end(site: Site) -> None:
    found = [c async for c in chunks(site, user("boom"))]
    assert isinstance(found[-1], Failure)
    assert "would not" in found[-1].error.message


async def test_what_a_tool_interrupts_is_told_in_one_text_and_what_it_waits_for(site: Site) -> None:
    text = ""
    asked = "[desk.note waits for agreement: thespis approvals approve noting.1.1.call]"
    async for chunk in chunks(site, user("note milk"), metadata={"conversation": "noting"}):
        assert isinstance(chunk, Chunk)
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        if text.endswith("]"):
            held = await site.until(
                "/v1/conversations/noting",
                holds=lambda c: [t["approval"] for t in c["turns"][0]["tools"] if t["approval"]],
            )
            approval = held["turns"][0]["tools"][0]["approval"]
            await site.deny(approval)
    assert text.startswith(f"I note it.\n\n{asked}\n\nthe tool said:")


async def test_whoever_waits_for_the_whole_is_told_that_people_are_asked(site: Site) -> None:
    body = {"model": "ada", "messages": [user("note tea")], "metadata": {"conversation": "unstreamed"}}
    for headers, again in (({}, "false"), ({"Idempotency-Key": "tea"}, None)):
        status, found, answer = await site.call("POST", URL, json=body, headers=headers)
        told = Failure.model_validate(answer).error
        assert (status, told.code) == (504, "deadline-exceeded")
        assert "desk.note waits for agreement: thespis approvals approve unstreamed." in told.message
        # Clients that repeat by themselves would say it twice, unless a key says that it is the same.
        assert found.get("X-Should-Retry") == again
        await site.post("/v1/conversations/unstreamed/interrupt", {})


async def test_whoever_may_only_talk_is_told_all_of_a_long_answer(restless: Place) -> None:
    async with door(restless.url, await restless.token("talker", "conversations:write", "agents:read")) as site:
        await site.ready()
        parts = [part async for part in chunks(site, user("tale 60"))]
        assert all(isinstance(part, Chunk) for part in parts), parts[-1]
        told = await fails(site, 504, model="ada", messages=[user("tale 500")])
        assert told.message.startswith("the turn goes on after 0.3 s")


async def test_agents_are_the_models_there_are(site: Site) -> None:
    listed = (await site.get("/v1/models"))["data"]
    assert {one["id"] for one in listed} >= {"ada", "echo", "scribe"}
    for one in listed:
        assert one.keys() == {"id", "object", "created", "owned_by"}
        assert await site.get(f"/v1/models/{one['id']}") == one
    status, _, answer = await site.call("GET", "/v1/models/nobody")
    told = Told.model_validate(answer["error"])
    assert (status, told.code, answer["code"]) == (404, "model_not_found", "not-found"), (
        "for their clients and for ours"
    )


async def test_clients_that_cannot_be_without_a_key_may_send_any_where_none_is_asked_for(served: Place) -> None:
    async with door(served.url, "sk-nothing") as site:
        found = await complete(site, user("hello"))
        assert found.choices[0].message.content == "you said hello"
        assert all([isinstance(part, Chunk) async for part in chunks(site, user("tale 3"))])
        assert (await site.get("/v1/models/ada"))["id"] == "ada"
        assert (await site.call("GET", "/v1/agents"))[0] == 401, "only where their protocol is spoken"
        status, _, _ = await site.call("GET", "/v1/models", headers={"Origin": "https://evil.example"})
        assert status == 403


async def test_a_token_of_ours_that_is_wrong_is_no_key_of_theirs(served: Place) -> None:
    async with door(served.url, f"ths_{'a' * 12}_{'b' * 43}") as site:
        for method, path in (("POST", URL), ("GET", "/v1/models")):
            status, _, answer = await site.call(
                method, path, **({"json": {"model": "ada"}} if method == "POST" else {})
            )
            assert (status, Told.model_validate(answer["error"]).code) == (401, "invalid_api_key")
    async with door(served.url) as site:
        assert (await site.call("GET", URL))[0] == 405
