from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.supervisor import Running, up

FAKE = Path(__file__).with_name("fake_host.py")


class Supervised:
    """A supervisor that runs in this process, and the lines it said."""

    def __init__(self, running: Running, said: list[str], changed: asyncio.Event, task: asyncio.Task[None]) -> None:
        self.running = running
        self.said = said
        self.task = task
        self._changed = changed

    async def hears(self, text: str) -> None:
        """Wait until a line with that text was said."""
        async with asyncio.timeout(60):
            while not any(text in line for line in self.said):
                self._changed.clear()
                await self._changed.wait()

    async def host(self) -> dict[str, Any]:
        """What the fake host tells about itself."""
        async with aiohttp.ClientSession() as session, session.get(self.running.url + "/readyz") as response:
            return json.loads(await response.read())

    async def stop(self) -> None:
        """SIGTERM, as whoever runs `thespis up` would send it."""
        os.kill(os.getpid(), signal.SIGTERM)
        await self.task


Supervise = Callable[..., Any]


@pytest.fixture
def supervise() -> Supervise:
    """`async with supervise(data, **arguments of up) as supervised`, with the fake host in place of the real one."""

    @asynccontextmanager
    async def begin(data: Path, port: int = 0, **given: Any) -> AsyncGenerator[Supervised]:
        said: list[str] = []
        changed, ready = asyncio.Event(), asyncio.get_running_loop().create_future()

        def say(line: str) -> None:
            said.append(line)
            changed.set()

        async def on_ready(running: Running) -> None:
            ready.set_result(running)

        environment = given.pop("environment", {}) | {"PATH": os.defpath}
        task = asyncio.create_task(
            up(data, port, environment=environment, on_ready=on_ready, say=say, command=["-P", str(FAKE)], **given)
        )
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            ready.cancel()
            task.result()
        supervised = Supervised(ready.result(), said, changed, task)
        try:
            yield supervised
        finally:
            if not task.done():
                await supervised.stop()

    return begin
