"""A strict stand-in for a host's HTTP interface, as far as an MCP server asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

TOKEN = "t0ken"


class FakeHost:
    """Counts what was done, by idempotency key."""

    def __init__(self) -> None:
        self.done: dict[str, dict[str, Any]] = {}
        self.asked = 0
        self.url = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/tools", self.tools)
        app.router.add_post("/v1/tools/{name}/run", self.run)
        app.router.add_get("/v1/agents", self.agents)
        app.router.add_post("/v1/conversations/{id}/messages", self.say)
        return app

    async def tools(self, request: web.Request) -> web.Response:
        self.check(request)
        schema = {"type": "object", "properties": {"path": {"type": "string"}}}
        named = [("files.read", "read-local", "approved"), ("files.write", "write-reversible", "approved"),
                 ("old", "read-local", "disabled")]  # fmt: skip
        tools = [
            {
                "tool": name,
                "description": f"{name}.",
                "definition": {"parameters": schema},
                "risk": risk,
                "status": status,
                "hash": "h",
            }
            for name, risk, status in named
        ]
        return web.json_response({"tools": tools})

    async def agents(self, request: web.Request) -> web.Response:
        self.check(request)
        named = [("ada", "ready"), ("gone", "stopped")]
        return web.json_response(
            {"agents": [{"name": n, "description": "Answers.", "state": s, "version": 1} for n, s in named]}
        )

    async def run(self, request: web.Request) -> web.Response:
        self.check(request)
        name, asked = request.match_info["name"], await request.json()
        assert set(asked) == {"arguments", "wait", "untrusted"}, asked
        key = request.headers["Idempotency-Key"]
        self.asked += 1
        if name == "files.write":
            self.done[key] = asked["arguments"]
            return web.json_response(
                {"call": "c2", "status": "waiting", "text": "", "data": None, "approval": "approval/7"}
            )
        if name == "denied":
            return web.json_response({"call": "c3", "status": "denied", "text": "not allowed", "data": None})
        if name != "files.read":
            problem = {"code": "not-found", "detail": f"there is no tool {name!r}", "status": 404}
            return web.json_response(problem, status=404, content_type="application/problem+json")
        first = key not in self.done
        self.done[key] = asked["arguments"]
        status = "running" if first else "succeeded"
        return web.json_response(
            {
                "call": "c1",
                "status": status,
                "text": "" if first else "hello",
                "data": {"n": 1},
                "approval": None if first else "approval/6",
            }
        )

    async def say(self, request: web.Request) -> web.Response:
        self.check(request)
        asked = await request.json()
        assert set(asked) == {"text", "agent", "wait", "untrusted"}, asked
        self.done[request.headers["Idempotency-Key"]] = asked
        said = f"{asked['agent']} heard {asked['text']}"
        return web.json_response(
            {"conversation": request.match_info["id"], "number": 1, "turn": 1, "status": "replied", "text": said}
        )

    def check(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise web.HTTPUnauthorized


@asynccontextmanager
async def fake_host() -> AsyncIterator[FakeHost]:
    host = FakeHost()
    runner = web.AppRunner(host.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield host
    finally:
        await runner.cleanup()
