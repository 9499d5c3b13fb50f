"""Clients that insist: a message is sent under its key until it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from events.errors import Refused
from gateway.cli.find import Place
from gateway.cli.http import Api, path
from gateway.cli.retrying import retrying
from gateway.demo.plan import Step

PATIENCE = 120.0
"""Seconds a client goes on trying."""
PAUSE = 0.2
"""Most seconds between two tries: what was interrupted is to be seen again soon."""

Told = Callable[[Step, dict[str, Any]], None]
"""Called with each acknowledgement: `position`, `outcome`, `duplicate`, `reply`."""


class Traffic:
    """Sends steps to one or several hosts, `width` at a time, each try to the next of them, for `timeout` seconds.

    `tries` counts what was sent.
    """

    def __init__(self, urls: Sequence[str], *, width: int = 64, timeout: float = 10.0) -> None:
        self._apis = [Api(Place(url), timeout=15.0) for url in urls]
        self._width = width
        self._timeout = timeout
        self.tries = 0

    async def __aenter__(self) -> Traffic:
        for api in self._apis:
            await api.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for api in self._apis:
            await api.__aexit__()

    async def send(self, step: Step) -> dict[str, Any]:
        """Until it is acknowledged. Raises Refused, Conflict …, and Unavailable when patience is at an end."""
        body = {"message": step.message, "data": step.data}

        async def once() -> dict[str, Any]:
            api = self._apis[self.tries % len(self._apis)]
            self.tries += 1
            return await api.post(
                path("actors", *step.to.split("/", 1), "ask"), body, key=step.key, timeout=self._timeout
            )

        return await retrying(once, patience=PATIENCE, reached=True, pause=_soon)

    async def run(self, steps: Iterable[Step], told: Told | None = None) -> None:
        """All steps, so many at a time; a refusal is an answer too, told with the outcome `refused`."""
        waiting = iter(steps)

        async def client() -> None:
            for step in waiting:
                try:
                    answer = await self.send(step)
                except Refused as refused:
                    answer = {"outcome": "refused", "code": refused.reason_code, "reason": refused.message}
                if told is not None:
                    told(step, answer)

        await together(*(client() for _ in range(self._width)))

    async def rows(self, projection: str, wait: int) -> list[dict[str, Any]]:
        """All rows of a projection, once it has folded in the position `wait`."""
        rows: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = await self._page(projection, {"wait": wait, "limit": 1000, "after": after})
            rows += page["rows"]
            after = page["next"]
            if after is None:
                return rows

    async def _page(self, projection: str, query: dict[str, Any]) -> dict[str, Any]:
        async def once() -> dict[str, Any]:
            self.tries += 1
            return await self._apis[self.tries % len(self._apis)].get(path("projections", projection), query)

        return await retrying(once, patience=PATIENCE, reached=True, pause=_soon)


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """All at once. The first error ends the others and is raised as it is."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _soon(seconds: float) -> None:
    await asyncio.sleep(min(seconds, PAUSE))
