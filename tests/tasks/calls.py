"""Calls of tasks, and what they bring."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from actors.workflows.tasks import TaskCall, TaskResult
from infra.tasks.local import Executor

Make = Callable[..., Executor]


def call(task: str = "t", input: Any = None, step: str = "a", **said: Any) -> TaskCall:
    return TaskCall(task, "run/1", step, said.pop("attempt", 1), f"run/1/{step}", input, **said)


def noting(event: asyncio.Event) -> Callable[[], Any]:
    async def may_begin() -> bool:
        event.set()
        return True

    return may_begin


def plain(result: TaskResult) -> Any:
    return msgspec.json.decode(msgspec.json.encode(result.output))


async def forever(_: Any) -> None:
    await asyncio.Event().wait()
