"""A host with agents, and what tests of the door do with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import aiohttp

from gateway.demo.host import HostProcess
from gateway.direct import open_tokens
from gateway.tokens import create_token
from tests.servers import Nats, Postgres, run
from tests.streams import ServerSent
from tests.workflows.world import Door

PLACE = Path(__file__).parent / "place"


class Place(HostProcess):
    """A host that serves, and the database of its tokens."""

    database: str = ""

    async def token(self, name: str, *scopes: str, tenant: str = "default") -> str:
        """A new token."""
        async with open_tokens(self.database) as tokens:
            text, _ = await create_token(tokens, name, scopes, tenant=tenant)
            return text


@contextmanager
def host(postgres: Postgres, workplace: Path, workspace: Path = PLACE, **more: str) -> Generator[Place]:
    """A host of its own; what its tool notes is in `notes.txt`."""
    directory = Path(mkdtemp(prefix="ad-", dir=workplace))
    server = Nats(directory / "server")
    url = run(postgres.create())
    run(server.start())
    settings = {"THESPIS_TEST_NOTES": str(directory / "notes.txt"), **more}
    process = Place(
        directory / "host", database_url=url, nats_url=server.host_url, relay_url=server.url, workspace=workspace,
        settings=settings,
    )  # fmt: skip
    process.database = url
    try:
        run(process.__aenter__())
        yield process
    finally:
        run(process.stop())
        run(server.stop())
        run(postgres.drop(url))
        rmtree(directory, ignore_errors=True)


class Site(Door):
    """HTTP to the host."""

    async def ready(self) -> None:
        """Wait until the agents of the workspace take turns."""
        for name in ("ada", "echo", "scribe"):
            await self.until(f"/v1/agents/{name}", holds=lambda found: found["state"] in ("ready", "busy"))

    async def publish_agent(self, text: str, status: int = 200, **how: Any) -> Any:
        """Publish a definition."""
        headers = {"Content-Type": "text/markdown"} | how.pop("headers", {})
        found, _, out = await self.call("POST", "/v1/agents", data=text.encode(), headers=headers, **how)
        assert found == status, (found, out)
        return out

    async def begin(self, agent: str = "ada", **more: Any) -> str:
        """A new conversation."""
        return (await self.post("/v1/conversations", {"agent": agent, **more}))["conversation"]

    async def say(self, conversation: str, text: str, status: int = 200, **more: Any) -> Any:
        """Say something and wait for the answer."""
        body = {"text": text, "wait": 30, **more}
        return await self.post(f"/v1/conversations/{conversation}/messages", body, status=status)

    async def deny(self, approval: str) -> None:
        """Say no, once the question is there."""
        await self.until(f"/v1/approvals/{approval}", holds=lambda found: found["status"] == "waiting")
        await self.post(f"/v1/approvals/{approval}/deny", {"note": "no"})

    async def until_metric(self, name: str, least: float) -> None:
        """Wait until a metric has reached this."""
        async with asyncio.timeout(30):
            while True:
                _, _, body = await self.call("GET", "/metrics")
                found = [line.split()[-1] for line in body.decode().splitlines() if line.startswith(f"{name} ")]
                if found and float(found[0]) >= least:
                    return

    @asynccontextmanager
    async def stream(self, conversation: str, after: int | None = 0, last: int | None = None) -> AsyncGenerator[Frames]:
        """Follow a conversation."""
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        params = {} if after is None else {"after": str(after)}
        url = f"{self.url}/v1/conversations/{conversation}/stream"
        async with self.session.get(url, headers=headers, params=params) as response:
            assert response.status == 200, await response.read()
            yield Frames(response)


class Frames(ServerSent):
    """Server-sent events of a conversation."""

    async def until(self, name: str, **wanted: Any) -> list[tuple[str, str, Any]]:
        """Frames up to one of that name whose data has these values."""
        found: list[tuple[str, str, Any]] = []
        while True:
            frame = await self.next()
            found.append(frame)
            assert frame[1], f"the stream ended before {name}: {[f[1] for f in found]}"
            data = frame[2].get("data", frame[2]) if frame[1] != "chunk" else frame[2]
            if frame[1] == name and all(data.get(key) == value for key, value in wanted.items()):
                return found


@asynccontextmanager
async def door(url: str, token: str = "") -> AsyncGenerator[Site]:
    """HTTP to the host, with a token if given."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Site(url, session)
