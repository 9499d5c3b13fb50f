"""Providers that do what they are told, and a caller on virtual time with somebody who follows what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from actors.models.port import Chunk, LiveChunk, ModelCall, ModelError
from actors.testing.clock import VirtualClock
from events.models import ModelAnswer, ModelRequest, ModelResult, Usage
from infra.models.calling import Caller
from infra.models.scripted import Scripted
from infra.models.showing import Showing
from tests.models.said import hello


class Acted(Scripted):
    """A provider that does what it is told, call by call: fail, say something, or say something and fail."""

    def __init__(self, name: str, *steps: Any) -> None:
        super().__init__({})
        self.name = name
        self.steps = list(steps)
        self.asked: list[str] = []

    async def complete(self, model: str, request: ModelRequest) -> ModelAnswer:
        return [chunk async for chunk in self.stream(model, request)][-1].answer or ModelAnswer()

    async def stream(self, model: str, request: ModelRequest) -> AsyncIterator[Chunk]:
        self.asked.append(model)
        step = self.steps.pop(0) if self.steps else "fine"
        said = step if isinstance(step, list) else [step]
        for part in said:
            if isinstance(part, BaseException):
                raise part
            if isinstance(part, float):
                await asyncio.sleep(part)
            else:
                yield Chunk(part)
        text = "".join(part for part in said if isinstance(part, str))
        yield Chunk(answer=ModelAnswer(text, usage=Usage(1, 1), provider=self.name, model=model))


class World:
    """A caller on virtual time, and what it showed."""

    def __init__(self, *providers: Any, draw: float = 0.5) -> None:
        self.clock = VirtualClock()
        self.caller = Caller(providers, now=self.clock, draw=lambda: draw)
        self.shown: list[LiveChunk] = []

    async def ask(self, *models: str, attempt: int = 1, tries: int = 3, timeout: float = 60.0) -> ModelResult:
        call = ModelCall("c", "conversation/x", 1, 1, attempt, list(models), hello(), True, timeout, tries)
        showing = Showing(call, "default", lambda _t, _a, chunk: self.shown.append(chunk), self.clock)
        result = await self.caller.call(call, showing)
        showing.end()
        return result

    @property
    def seen(self) -> str:
        """What somebody who follows the live plane has before their eyes."""
        text = ""
        for chunk in self.shown:
            text = chunk.text if chunk.reset else text + chunk.text
        return text


async def later(seconds: float) -> None:
    """Virtual seconds."""
    await asyncio.sleep(seconds)


def down(kind: str, retry_after: float | None = None) -> ModelError:
    return ModelError(kind, "as told", retry_after=retry_after)


def seconds(result: ModelResult) -> float:
    return (result.ended - result.started) / 1e6
