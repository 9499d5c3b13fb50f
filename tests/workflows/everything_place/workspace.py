"""The tasks of the run that uses everything. What they do is done by a service outside, in a process of its own."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import aiohttp

from actors import Plugin
from actors.workflows.tasks import Task, TaskError
from infra.tasks.context import Context


async def _tell(path: str, context: Context) -> Any:
    body = {"key": context.key, "attempt": context.attempt}
    async with aiohttp.ClientSession() as session, session.post(os.environ["OUTSIDE"] + path, json=body) as response:
        if response.status != 200:
            raise TaskError(await response.text())
        return await response.json()


async def act(input: Any, context: Context) -> Any:
    """Have it done."""
    await _tell("do", context)
    return input


async def came(input: Any, context: Context) -> tuple[str, Any]:
    """What became of a call nobody heard of again; what did not come by now is not let in any more."""
    return ("succeeded", input) if await _tell("came", context) else ("failed", "it never came")


async def fails(input: Any) -> Any:
    raise TaskError("no")


async def flaky(input: Any, context: Context) -> Any:
    if context.attempt < 3:
        raise TaskError("no")
    return await act(input, context)


async def odd(input: int, context: Context) -> Any:
    if input % 2:
        raise TaskError("no")
    return await act(input, context)


async def hangs(input: Any) -> None:
    await asyncio.Event().wait()


plugin = Plugin(
    tasks=[
        Task("t", act, reconcile=came), Task("undo", act, reconcile=came), Task("fails", fails), Task("flaky", flaky),
        Task("odd", odd), Task("hangs", hangs, timeout=3600),
    ]
)  # fmt: skip
