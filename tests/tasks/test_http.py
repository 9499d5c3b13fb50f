"""`http.call` against a server of our own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from actors.workflows.tasks import Catalogue, TaskCall, TaskResult
from infra.embedded import ports
from infra.memory.blobs import MemoryBlobs
from infra.tasks.builtin import BUILTIN
from infra.tasks.local import Executor


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async def echo(request: web.Request) -> web.Response:
        body = await request.text()
        said = {"method": request.method, "body": body, "query": dict(request.query), "headers": dict(request.headers)}
        return web.json_response(said)

    async def status(request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]), text="so it is")

    async def slow(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    async def big(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 100_000)

    async def moved(request: web.Request) -> web.Response:
        raise web.HTTPFound("/echo")

    app = web.Application()
    app.router.add_route("*", "/echo", echo)
    app.router.add_get("/status/{status}", status)
    app.router.add_get("/slow", slow)
    app.router.add_get("/big", big)
    app.router.add_get("/moved", moved)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def request(**input: Any) -> TaskResult:
    executor = Executor(Catalogue(BUILTIN), MemoryBlobs())
    try:
        return await executor.perform(TaskCall("http.call", "run/1", "a", 1, "run/1/a", input))
    finally:
        await executor.stop()


def plain(result: TaskResult) -> Any:
    assert result.kind == "", result
    return msgspec.json.decode(msgspec.json.encode(result.output))


async def test_a_request_is_sent_as_it_is_said_and_json_comes_back_decoded(url: str) -> None:
    sent = await request(url=f"{url}/echo", method="POST", body={"a": 1}, query={"q": "1"}, headers={"X-Mine": "yes"})
    answer = plain(sent)
    said = answer["body"]
    assert (answer["status"], said["method"], said["body"], said["query"]) == (200, "POST", '{"a":1}', {"q": "1"})
    assert said["headers"]["X-Mine"] == "yes"
    assert said["headers"]["Content-Type"] == "application/json"


async def test_every_attempt_carries_the_same_idempotency_key_unless_told_otherwise(url: str) -> None:
    posted = plain(await request(url=f"{url}/echo", method="POST"))
    assert posted["body"]["headers"]["Idempotency-Key"] == "run/1/a"
    for said in ({"method": "GET"}, {"method": "POST", "idempotency_key": False}):
        assert "Idempotency-Key" not in plain(await request(url=f"{url}/echo", **said))["body"]["headers"]
    own = plain(await request(url=f"{url}/echo", method="POST", headers={"idempotency-key": "mine"}))
    assert "run/1/a" not in own["body"]["headers"].values()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(304, "redirect"), (401, "unauthorized"), (404, "not-found"), (409, "conflict"), (429, "busy"), (418, "client"),
     (503, "server")],
)  # fmt: skip
async def test_a_status_that_is_no_success_is_an_error_of_its_kind(url: str, status: int, kind: str) -> None:
    result = await request(url=f"{url}/status/{status}")
    assert result.kind == kind
    assert result.data["status"] == status


async def test_what_counts_as_success_can_be_said(url: str) -> None:
    assert plain(await request(url=f"{url}/status/404", expect=[404]))["body"] == "so it is"
    assert (await request(url=f"{url}/echo", expect=[404])).kind == "unexpected"


async def test_a_server_that_takes_too_long_is_a_timeout(url: str) -> None:
    assert (await request(url=f"{url}/slow", timeout=0.1)).kind == "timeout"


async def test_an_answer_larger_than_allowed_is_not_read(url: str) -> None:
    assert (await request(url=f"{url}/big", max_size=1000)).kind == "too-large"


async def test_redirects_are_followed_unless_told_otherwise(url: str) -> None:
    assert plain(await request(url=f"{url}/moved"))["url"].endswith("/echo")
    assert (await request(url=f"{url}/moved", redirects=0)).kind == "redirect"


async def test_nobody_there_is_a_connection_error() -> None:
    assert (await request(url=f"http://127.0.0.1:{ports.free()}/")).kind == "connection"


@pytest.mark.parametrize("said", [{"url": "no url"}, {"url": "ftp://x"}, {"url": "http://x", "method": "BREW"}, {}])
async def test_what_cannot_be_sent_is_invalid(said: dict[str, Any]) -> None:
    assert (await request(**said)).kind == "invalid"
