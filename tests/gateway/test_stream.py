"""GET /v1/events/stream: nothing missing, nothing twice, whatever happens to the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from gateway.tokens import create_token, revoke_token
from infra.memory.tokens import MemoryTokens
from tests.gateway.site import Site, event, serving


class Events:
    """A reader of server-sent events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments: list[str] = []

    async def next(self) -> tuple[int, dict[str, Any]] | None:
        """The next event as (id, data), or None at the end of the stream."""
        id, data = 0, ""
        async with asyncio.timeout(20):
            async for line in self.response.content:
                text = line.decode().rstrip("\n")
                if text.startswith(":"):
                    self.comments.append(text)
                elif text.startswith("id: "):
                    id = int(text[4:])
                elif text.startswith("data: "):
                    data += text[6:]
                elif not text and data:
                    return id, msgspec.json.decode(data)
        return None

    async def take(self, count: int) -> list[int]:
        """The ids of the next events."""
        found: list[int] = []
        for _ in range(count):
            item = await self.next()
            assert item is not None
            assert item[0] == item[1]["position"]
            found.append(item[0])
        return found


@asynccontextmanager
async def follow(
    site: Site, last: int | None = None, headers: dict[str, str] | None = None, **params: Any
) -> AsyncIterator[Events]:
    sent = dict(headers or {})
    if last is not None:
        sent["Last-Event-ID"] = str(last)
    url = site.url + "/v1/events/stream"
    async with site.session.get(url, params=params, headers=sent) as response:
        assert response.status == 200, await response.read()
        assert response.headers["Content-Type"] == "text/event-stream"
        yield Events(response)


async def test_without_after_only_what_is_new_comes(site: Site) -> None:
    await site.publish(event("old"))
    async with follow(site) as events:
        await site.publish(event("new"))
        item = await events.next()
    assert item is not None
    assert (item[0], item[1]["id"]) == (2, "new")


async def test_it_resumes_after_the_last_event_id_which_wins_over_after(site: Site) -> None:
    await site.publish(*(event(str(n)) for n in range(10)))
    async with follow(site, after=0) as events:
        assert await events.take(10) == list(range(1, 11))
    async with follow(site, last=7, after=2) as events:
        assert await events.take(3) == [8, 9, 10]


async def test_reconnecting_under_writes_shows_every_event_once(site: Site) -> None:
    total = 600
    filtered: list[int] = []
    everything: list[int] = []

    async def write() -> None:
        for n in range(0, total, 6):
            kinds = [event(str(n + k), "Odd" if (n + k) % 2 else "Even", source=f"/s{k}") for k in range(6)]
            await site.publish(*kinds)

    async def read(found: list[int], count: int, **params: Any) -> None:
        while len(found) < count:
            after = {"after": 0} if not found else {}
            async with follow(site, last=found[-1] if found else None, **after, **params) as events:
                found += await events.take(min(37, count - len(found)))

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(write())
        group.create_task(read(everything, total))
        group.create_task(read(filtered, total // 2, type="Odd"))
    assert everything == list(range(1, total + 1))
    odd = [e.position for e in await site.store.read(0, total) if e.type == "Odd"]
    assert filtered == odd


@pytest.mark.parametrize("tail", [1, 3, 4096])
async def test_many_clients_at_many_places_all_see_everything(tail: int) -> None:
    async with serving(tail=tail) as site:
        await site.publish(*(event(str(n)) for n in range(50)))

        async def read(after: int) -> list[int]:
            async with follow(site, after=after) as events:
                return await events.take(100 - after)

        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(read(after)) for after in (0, 1, 25, 49, 50)]
            for n in range(50, 100, 5):
                await site.publish(*(event(str(n + k)) for k in range(5)))
        for after, reader in zip((0, 1, 25, 49, 50), readers, strict=True):
            assert reader.result() == list(range(after + 1, 101))


async def test_it_filters_by_stream_and_correlation(site: Site) -> None:
    for n in range(9):
        await site.publish(event(str(n), source=f"/s{n % 3}", correlationid=f"c{n % 2}"))
    async with follow(site, after=0, stream="feed/s1") as events:
        assert await events.take(3) == [2, 5, 8]
        await site.publish(event("x", source="/s0"), event("y", source="/s1"))
        item = await events.next()
        assert item is not None
        assert item[1]["id"] == "y"
    async with follow(site, after=0, correlation="c1") as events:
        assert await events.take(4) == [2, 4, 6, 8]


async def test_a_silent_stream_gets_comments(site: Site) -> None:
    async with serving(heartbeat=0.05) as quick, follow(quick, after=0) as events:
        waiting = asyncio.create_task(events.next())
        async with asyncio.timeout(20):
            while len(events.comments) < 3:
                await asyncio.wait([waiting], timeout=0.05)
        await quick.publish(event("a"))
        item = await waiting
        assert item is not None
        assert item[0] == 1


async def test_a_client_that_takes_nothing_is_cut_off_and_nothing_is_kept_for_it() -> None:
    async with serving(slow_client=0.2) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port, limit=1024)
        writer.write(b"GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for n in range(24):
            await site.publish(event(str(n), data="x" * 1_000_000))
        metrics = site.door.metrics
        async with asyncio.timeout(30):
            while metrics.get("thespis_http_slow_streams_total") == 0:
                await site.get("/healthz")
        async with asyncio.timeout(20):
            while metrics.get("thespis_http_streams"):
                await site.get("/healthz")
        writer.close()
        del reader


async def test_more_streams_than_allowed_are_turned_away() -> None:
    async with serving(max_streams=1) as site, follow(site):
        status, headers, body = await site.call("GET", "/v1/events/stream")
        assert (status, body["code"], headers["Retry-After"]) == (503, "busy", "5")


@pytest.mark.parametrize("bad", ["x", "-1", "1.5", "99999999999999999999", "5"])
async def test_a_place_that_is_none_is_refused(site: Site, bad: str) -> None:
    status, _, body = await site.call("GET", "/v1/events/stream", headers={"Last-Event-ID": bad})
    assert (status, body["code"]) == (400, "invalid-data")
    status, _, body = await site.call("GET", "/v1/events/stream", params={"after": bad})
    assert (status, body["code"]) == (400, "invalid-data")


async def test_head_does_not_stream(site: Site) -> None:
    status, headers, body = await site.call("HEAD", "/v1/events/stream")
    assert (status, headers["Content-Type"], body) == (200, "text/event-stream", b"")


async def test_stopping_ends_live_streams_and_finishes_what_is_in_hand() -> None:
    async with serving(grace=20.0) as site:
        entered, leave = asyncio.Event(), asyncio.Event()

        class Slow:
            async def ask(self, message: Any) -> Any:
                entered.set()
                await leave.wait()
                return await site.host.ask(message)

        site.door.client = Slow()  # pyright: ignore[reportAttributeAccessIssue]
        async with follow(site) as events:
            asking = asyncio.create_task(site.ask("counter/one", {"amount": 5}))
            await entered.wait()
            stopping = asyncio.create_task(site.server.stop())
            assert await events.next() is None
            assert ": closing" in events.comments
            with pytest.raises(aiohttp.ClientConnectionError):
                await site.get("/healthz")
            assert not stopping.done()
            leave.set()
            status, answer = await asking
            assert (status, answer["reply"]) == (200, {"total": 5})
            await stopping


async def test_a_ring_that_was_no_commit_neither_spins_nor_hides_the_next(site: Site) -> None:
    async with follow(site, after=0) as events:
        site.door.heads.ring(1_000_000)
        await site.publish(event("a"))
        assert await events.take(1) == [1]
        async with asyncio.timeout(20):
            while site.door.heads.head != 1:
                await site.get("/healthz")


async def test_a_stream_ends_when_its_token_is_revoked() -> None:
    tokens = MemoryTokens()
    text, token = await create_token(tokens, "ada", ["events:read"])
    headers = {"Authorization": f"Bearer {text}"}
    async with (
        serving(tokens, heartbeat=0.05, token_cache=0.0, require_token=True) as site,
        follow(site, headers=headers) as events,
    ):
        await revoke_token(tokens, token.id)
        assert await events.next() is None
        assert any("token" in comment for comment in events.comments)
