"""A workspace for tests: an actor that asks for tasks and remembers what came; tasks that tell an outside service."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import aiohttp
import msgspec

from actors import Effect, Kind, Message, Outcome, Plugin, Reply
from actors.workflows.tasks import CANCEL, CancelCall, Task, TaskCall, effect_kind
from infra.tasks.context import Context


class Go(msgspec.Struct):
    """Ask for these calls, all of one class."""

    calls: list[TaskCall]
    effect_class: str = "idempotent"


class Stop(msgspec.Struct):
    step: str
    grace: float = 5.0


class Asked(msgspec.Struct):
    steps: list[str]


class Came(msgspec.Struct):
    step: str
    status: str
    kind: str = ""
    output: Any = None
    worker: str = ""
    error: str = ""


class Job(msgspec.Struct):
    asked: int = 0
    came: dict[str, list[Came]] = {}


def decide(job: Job, message: Message) -> list[Any]:
    match message.data:
        case Go(calls, effect_class):
            effects = [Effect(effect_kind(effect_class), c, ref=c.step, key=c.key) for c in calls]
            return [Asked([c.step for c in calls]), *effects, Reply(None)]
        case Stop(step, grace):
            return [Effect(CANCEL, CancelCall(message.to, step, 1, grace)), Reply(None)]
        case Outcome(kind=kind, ref=ref, status=status, result=result, error=error) if kind != CANCEL:
            told = result or {}
            return [Came(ref, status, told.get("kind", ""), told.get("output"), told.get("worker", ""), error)]
    return []


def evolve(job: Job, event: Any) -> Job:
    match event:
        case Asked(steps):
            job.asked += len(steps)
        case Came(step):
            job.came.setdefault(step, []).append(event)
    return job


async def outside(input: dict[str, Any], context: Context) -> dict[str, Any]:
    """Tell the outside service that this was begun, and wait until it answers."""
    body = {"key": context.key, "attempt": context.attempt, "pid": os.getpid(), **input}
    async with aiohttp.ClientSession() as session, session.post(os.environ["OUTSIDE"], json=body) as response:
        return await response.json()


async def echo(input: Any) -> Any:
    return input


async def large(input: int) -> str:
    return "x" * input


async def length(input: str) -> int:
    return len(input)


async def hang(input: Any) -> None:
    await asyncio.Event().wait()


plugin = Plugin(
    kinds=[Kind("job", state=Job, decide=decide, evolve=evolve, messages=[Go, Stop, Outcome], events=[Asked, Came])],
    tasks=[
        Task("echo", echo), Task("large", large), Task("length", length), Task("hang", hang, timeout=3600),
        Task("outside", outside, timeout=600), Task("pay", outside, timeout=600, effect_class="irreversible"),
    ],
)  # fmt: skip
