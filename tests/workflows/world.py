"""A host in a process of its own, with the workspace beside this, real Postgres and real NATS; and HTTP to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import aiohttp
import msgspec

from gateway.demo.host import HostProcess
from tests.servers import Nats, Postgres, run
from tests.streams import ServerSent

PLACE = Path(__file__).parent / "place"


@contextmanager
def host(postgres: Postgres, workplace: Path, workspace: Path = PLACE, **settings: str) -> Generator[HostProcess]:
    """A host that serves."""
    directory = Path(mkdtemp(prefix="wf-", dir=workplace))
    server = Nats(directory / "server")
    url = run(postgres.create())
    run(server.start())
    process = HostProcess(
        directory / "host", database_url=url, nats_url=server.host_url, relay_url=server.url, workspace=workspace,
        settings=settings,
    )  # fmt: skip
    try:
        run(process.__aenter__())
        yield process
    finally:
        run(process.stop())
        run(server.stop())
        run(postgres.drop(url))
        rmtree(directory, ignore_errors=True)


class Door:
    """HTTP to a host."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def call(self, method: str, path: str, **how: Any) -> tuple[int, Any, Any]:
        """Status, headers, body."""
        async with self.session.request(method, self.url + path, **how) as response:
            body = await response.read()
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, response.headers, msgspec.json.decode(body) if is_json and body else body

    async def get(self, path: str, **how: Any) -> Any:
        """The body of a GET that must succeed."""
        status, _, body = await self.call("GET", path, **how)
        assert status == 200, body
        return body

    async def post(self, path: str, body: Any = None, key: str = "", status: int = 200) -> Any:
        """The body of a POST that must be answered with `status`."""
        headers = {"Idempotency-Key": key} if key else {}
        found, _, out = await self.call("POST", path, json={} if body is None else body, headers=headers)
        assert found == status, (found, out)
        return out

    async def publish(self, source: str, status: int = 200, **how: Any) -> Any:
        """Publish a definition."""
        headers = {"Content-Type": "application/yaml"} | how.pop("headers", {})
        found, _, out = await self.call("POST", "/v1/workflows", data=source.encode(), headers=headers, **how)
        assert found == status, (found, out)
        return out

    async def start(self, name: str, wait: float = 30, **inputs: Any) -> Any:
        """Start a run and wait for its end."""
        return await self.post(f"/v1/workflows/{name}/runs", {"inputs": inputs, "wait": wait})

    async def until(self, path: str, *, holds: Callable[[Any], Any]) -> Any:
        """The body of a GET, once it is as wanted."""
        async with asyncio.timeout(30):
            while True:
                status, _, body = await self.call("GET", path)
                if status == 200 and holds(body):
                    return body
                await self.call("GET", "/v1/events?limit=1")

    async def events(self, path: str, until: str = "end", **headers: str) -> list[tuple[str, str, Any]]:
        """Server-sent events up to one of that name, as (id, event, data)."""
        found: list[tuple[str, str, Any]] = []
        async with asyncio.timeout(30), self.session.get(self.url + path, headers=headers) as response:
            assert response.status == 200, await response.read()
            frames = ServerSent(response)
            while (frame := await frames.next())[1]:
                found.append(frame)
                if frame[1] == until:
                    break
        return found


@asynccontextmanager
async def door(url: str, token: str = "") -> AsyncGenerator[Door]:
    """HTTP to the host, with a token if given."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Door(url, session)
