"""A conversation followed while it goes on: by server-sent events and by a WebSocket, across everything that breaks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.agent_door.world import Place, Site, door

pytestmark = pytest.mark.timeout(240)

Holds = Callable[[dict[str, Any]], bool]


def committed(frames: list[tuple[str, str, Any]]) -> list[tuple[int, str]]:
    """Positions and types of what is committed."""
    return [(int(id), name) for id, name, _ in frames if name != "chunk"]


def text_of(frames: list[tuple[str, str, Any]], step: int = 1) -> str:
    """What a reader has seen of a step, replaced where a piece said so."""
    text = ""
    for _, name, data in frames:
        if name == "chunk" and data["step"] == step:
            text = data.get("text", "") if data.get("reset") else text + data.get("text", "")
    return text


async def history(site: Site, conversation: str) -> list[tuple[int, str]]:
    """What the log has of it."""
    found = await site.get(f"/v1/events?stream=conversation/{conversation}&limit=1000")
    return [(event["position"], event["type"]) for event in found["events"]]


async def test_what_is_committed_and_what_is_being_written_come_in_one_stream(site: Site) -> None:
    conversation = await site.begin()
    async with site.stream(conversation) as stream:
        await site.post(f"/v1/conversations/{conversation}/messages", {"text": "tale 30"}, status=202)
        frames = await stream.until("TurnEnded")
    assert committed(frames) == await history(site, conversation)
    chunks = [data for _, name, data in frames if name == "chunk"]
    assert {id for id, name, _ in frames if name == "chunk"} == {""}
    assert len(chunks) > 2
    whole = " ".join(f"w{n}" for n in range(30))
    # The last pieces may be on their way when the whole is committed: they are not sent any more.
    assert whole.startswith(text_of(frames))
    names = [name for _, name, _ in frames]
    assert names.index("chunk") > names.index("ModelAsked")
    assert "chunk" not in names[names.index("ModelAnswered") :], "the text is known by then"
    (answered,) = [data["data"] for _, name, data in frames if name == "ModelAnswered"]
    assert answered["answer"]["text"] == whole


async def test_whoever_comes_back_gets_what_follows_and_all_of_the_answer_so_far(site: Site) -> None:
    conversation = await site.begin()
    async with site.stream(conversation) as stream:
        await site.post(f"/v1/conversations/{conversation}/messages", {"text": "tale 120"}, status=202)
        first = await stream.until("chunk")
        while len([1 for _, name, _ in first if name == "chunk"]) < 4:
            first += await stream.until("chunk")
    last = max(position for position, _ in committed(first))
    async with site.stream(conversation, last=last) as stream:
        second = await stream.until("TurnEnded")
    assert [*committed(first), *committed(second)] == await history(site, conversation)
    chunk = next(data for _, name, data in second if name == "chunk")
    assert chunk["reset"] is True
    assert chunk["text"].startswith(text_of(first)), "nothing of it is missed"
    assert " ".join(f"w{n}" for n in range(120)).startswith(text_of(second))


async def test_far_behind_is_read_from_the_log_in_pages(site: Site) -> None:
    conversation = await site.begin()
    for n in range(8):
        await site.say(conversation, f"message {n}")
    async with site.stream(conversation) as stream:
        frames = await stream.until("TurnEnded", turn=8)
    assert committed(frames) == await history(site, conversation)


async def test_only_what_is_new_comes_to_who_asks_for_nothing_else(site: Site) -> None:
    conversation = await site.begin()
    await site.say(conversation, "before")
    async with site.stream(conversation, after=None) as stream:
        await site.say(conversation, "after")
        frames = await stream.until("TurnEnded")
    assert [data["data"]["text"] for _, name, data in frames if name == "MessageReceived"] == ["after"]
    status, _, body = await site.call("GET", f"/v1/conversations/{conversation}/stream", headers={"Last-Event-ID": "x"})
    assert (status, body["code"]) == (400, "invalid-data")


class Socket:
    """A WebSocket of a conversation."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.seen: list[dict[str, Any]] = []

    async def send(self, **content: Any) -> None:
        await self.ws.send_str(msgspec.json.encode(content).decode())

    async def until(self, holds: Holds) -> dict[str, Any]:
        """The first message that is as wanted."""
        async with asyncio.timeout(30):
            while True:
                found = await self.ws.receive_json()
                self.seen.append(found)
                if holds(found):
                    return found

    async def ever(self, holds: Holds) -> dict[str, Any]:
        """One that is as wanted, seen already or to come."""
        return next(filter(holds, self.seen), None) or await self.until(holds)

    def positions(self) -> list[tuple[int, str]]:
        return [(one["position"], one["event"]["type"]) for one in self.seen if one["type"] == "event"]


def is_event(name: str) -> Holds:
    return lambda found: found["type"] == "event" and found["event"]["type"] == name


async def test_a_socket_is_talked_in_and_read_from(site: Site) -> None:
    conversation = await site.begin()
    url = f"{site.url}/v1/conversations/{conversation}/socket?after=0"
    async with site.session.ws_connect(url) as ws:
        socket = Socket(ws)
        await socket.send(type="post", text="tale 20", id="s-1")
        taken = await socket.until(lambda found: found["type"] == "taken")
        assert (taken["id"], taken["number"], taken["duplicate"]) == ("s-1", 1, False)
        await socket.until(is_event("TurnEnded"))
        await socket.send(type="post", text="tale 20", id="s-1")
        again = await socket.until(lambda found: found["type"] == "taken")
        assert (again["number"], again["duplicate"]) == (1, True)
        await socket.send(type="post", text="tale 500")
        await socket.until(lambda found: found["type"] == "chunk" and found["chunk"]["turn"] == 2)
        await socket.send(type="interrupt", reason="enough", id="i-1")
        done = await socket.until(lambda found: found["type"] == "done")
        assert (done["id"], done["interrupted"]) == ("i-1", True)
        ended = await socket.ever(lambda f: is_event("TurnEnded")(f) and f["event"]["data"]["turn"] == 2)
        assert ended["event"]["data"]["status"] == "interrupted"
        for wrong in ({"type": "post"}, {"type": "sing"}, {"type": "post", "text": "x", "loud": True}):
            await socket.send(**wrong)
            problem = await socket.until(lambda found: found["type"] == "problem")
            assert problem["problem"]["code"] == "invalid-data"
        await ws.send_bytes(b"x")
        await socket.until(lambda found: found["type"] == "problem")
        await ws.send_str('{"type": "post", "type": "post", "text": "x"}')
        await socket.until(lambda found: found["type"] == "problem")
    assert socket.positions() == await history(site, conversation)
    chunks = [one["chunk"] for one in socket.seen if one["type"] == "chunk" and one["chunk"]["turn"] == 1]
    assert " ".join(f"w{n}" for n in range(20)).startswith("".join(chunk.get("text", "") for chunk in chunks))
    # Whoever comes back with the last position misses nothing.
    last = socket.positions()[2][0]
    async with site.session.ws_connect(f"{url[: -len('after=0')]}after={last}") as ws:
        back = Socket(ws)
        await back.until(is_event("TurnEnded"))
        await back.until(is_event("TurnEnded"))
    assert [*socket.positions()[:3], *back.positions()] == await history(site, conversation)


async def test_a_socket_is_not_opened_by_the_page_of_another_site(site: Site) -> None:
    conversation = await site.begin()
    url = f"{site.url}/v1/conversations/{conversation}/socket"
    for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await site.session.ws_connect(url, headers={"Origin": origin})
        assert refused.value.status == 403
    async with site.session.ws_connect(url, headers={"Origin": site.url}):
        pass
    status, _, body = await site.call("GET", f"/v1/conversations/{conversation}/socket")
    assert (status, body["code"]) == (400, "invalid-data")


async def test_a_host_killed_in_the_middle_of_an_answer_leaves_no_gap_and_no_double(mortal: Place) -> None:
    async with door(mortal.url) as site:
        await site.ready()
        conversation = await site.begin()
        frames: list[tuple[str, str, Any]] = []
        with contextlib.suppress(aiohttp.ClientError):
            async with site.stream(conversation) as stream:
                await site.post(f"/v1/conversations/{conversation}/messages", {"text": "tale 200"}, status=202)
                while len([1 for _, name, _ in frames if name == "chunk"]) < 5:
                    frames += await stream.until("chunk")
                await mortal.kill()
        shown = text_of(frames)
        assert shown
        assert not text_of(frames).endswith("w199")
        mortal.start()
        await mortal.ready()
        last = max(position for position, _ in committed(frames))
        async with site.stream(conversation, last=last) as stream:
            rest = await stream.until("TurnEnded")
        assert [*committed(frames), *committed(rest)] == await history(site, conversation)
        names = [name for _, name, _ in rest]
        assert "ModelLost" in names
        again = [data for _, name, data in rest if name == "chunk"]
        assert (again[0]["attempt"], again[0]["reset"]) == (2, True), "what was shown is visibly replaced"
        assert " ".join(f"w{n}" for n in range(200)).startswith(text_of([*frames, *rest]))
        found = await site.get(f"/v1/conversations/{conversation}")
        assert [(turn["status"], turn["model_calls"]) for turn in found["turns"]] == [("replied", 2)]


async def test_a_socket_goes_on_where_it_was_after_the_host_was_killed(mortal: Place) -> None:
    async with door(mortal.url) as site:
        await site.ready()
        conversation = await site.begin()
        url = f"{site.url}/v1/conversations/{conversation}/socket"
        async with site.session.ws_connect(f"{url}?after=0") as ws:
            first = Socket(ws)
            await first.send(type="post", text="tale 200", id="only")
            await first.until(lambda found: found["type"] == "chunk")
            await mortal.kill()
        mortal.start()
        await mortal.ready()
        last = max(position for position, _ in first.positions())
        async with site.session.ws_connect(f"{url}?after={last}") as ws:
            second = Socket(ws)
            # Whoever does not know whether it was taken says it again.
            await second.send(type="post", text="tale 200", id="only")
            taken = await second.until(lambda found: found["type"] in ("taken", "problem"))
            assert (taken["type"], taken["number"]) == ("taken", 1)
            await second.ever(is_event("TurnEnded"))
        assert [*first.positions(), *second.positions()] == await history(site, conversation)
        found = await site.get(f"/v1/conversations/{conversation}")
        assert (len(found["messages"]), found["turns"][0]["status"]) == (1, "replied")
