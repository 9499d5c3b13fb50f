"""Who may do what with agents: scopes, tenants, and the names of those who ask."""

from __future__ import annotations

import asyncio

import pytest

from tests.agent_door.world import Place, Site, door

pytestmark = pytest.mark.timeout(180)


async def test_tenants_see_nothing_of_each_other(served: Place, site: Site) -> None:
    conversation = await site.begin()
    await site.say(conversation, "secret")
    ran = await site.post("/v1/tools/desk.note/run", {"arguments": {"text": "secret"}})
    everything = (
        "agents:read",
        "agents:write",
        "conversations:read",
        "conversations:write",
        "tools:read",
        "tools:write",
    )
    async with door(served.url, await served.token("eve", *everything, tenant="other")) as other:
        assert (await other.get("/v1/agents"))["agents"] == []
        assert (await other.get("/v1/conversations"))["conversations"] == []
        assert (await other.get("/v1/tools"))["tools"] == []
        assert (await other.get("/v1/costs?by=agent"))["total"]["calls"] == 0
        assert (await other.get("/v1/budgets"))["budgets"] == []
        path = f"/v1/conversations/{conversation}"
        for place in (
            "/v1/agents/ada", path, f"{path}/stream", f"{path}/socket", f"{path}/replay", f"{path}/turns/1/explain",
            f"/v1/calls/{ran['call']}", "/v1/tools/desk.note", "/v1/policies/default",
        ):  # fmt: skip
            assert (await other.call("GET", place))[0] == 404, place
        await other.say(conversation, "hello", 404)
        await other.say(conversation, "hello", 404, agent="ada")
        for verb in ("interrupt", "close", "rerun"):
            await other.post(f"{path}/{verb}", {}, status=404)
        body = {"model": "ada", "messages": [{"role": "user", "content": "hello"}]}
        assert (await other.call("POST", "/v1/chat/completions", json=body))[0] == 404
        # A definition of this host's workspace that is wrong is not theirs to read either.
        assert (await other.get("/v1/agents"))["broken"] == []


async def test_reading_is_not_talking(served: Place, site: Site) -> None:
    conversation = await site.begin()
    async with door(served.url, await served.token("reader", "conversations:read")) as reader:
        await reader.get(f"/v1/conversations/{conversation}")
        denied = await reader.say(conversation, "hello", 403)
        assert denied["code"] == "forbidden"
        async with reader.session.ws_connect(f"{reader.url}/v1/conversations/{conversation}/socket") as ws:
            await ws.send_json({"type": "post", "text": "hello", "id": "x"})
            problem = await ws.receive_json()
            assert (problem["type"], problem["id"], problem["problem"]["code"]) == ("problem", "x", "forbidden")
    assert (await site.get(f"/v1/conversations/{conversation}"))["messages"] == []


async def test_whoever_talks_is_the_token(served: Place, site: Site) -> None:
    text = await served.token("cleo", "conversations:write")
    async with door(served.url, text) as cleo:
        conversation = await cleo.begin()
        await cleo.say(conversation, "hello")
    found = await site.get(f"/v1/conversations/{conversation}")
    assert (found["by"], found["messages"][0]["sender"]) == ("user:cleo", "user:cleo")


async def test_a_client_that_takes_nothing_is_cut_off(short_of_patience: Place) -> None:
    async with door(short_of_patience.url) as site:
        await site.ready()
        conversation = await site.begin("echo")
        for n in range(12):
            await site.say(conversation, f"{n}" + "x" * 300_000)
        reader, writer = await asyncio.open_connection("127.0.0.1", short_of_patience.port, limit=1024)
        writer.write(
            f"GET /v1/conversations/{conversation}/socket?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        assert b"101" in await reader.readline()
        # Nothing more is read: what is sent fills what lies between, then the door gives up.
        await site.until_metric("thespis_http_slow_streams_total", 1)
        writer.close()
