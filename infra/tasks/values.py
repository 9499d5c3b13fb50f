"""What goes into a task and comes out of it: typed, and kept elsewhere when it is large.

Large results are kept by content and passed on as `{"$blob": sha256, "size": bytes}`, resolved before a task runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeGuard, TypeVar, cast

import msgspec

from actors.workflows.tasks import Task, TaskCall, TaskError
from events.blobs import Blobs
from events.errors import NotFound, TooLarge, Unavailable

BLOB: Final = "$blob"
LIMIT: Final = 64 * 1024
"""Bytes of JSON up to which a result travels as it is."""
PATIENCE: Final = 30.0
"""Seconds a call waits for the store of large values to come back."""

T = TypeVar("T")


def is_reference(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether this stands for a value kept elsewhere."""
    return value.__class__ is dict and len(value) == 2 and BLOB in value and "size" in value


def refers(value: Any) -> bool:
    """Whether there is a reference anywhere in a JSON value."""
    if value.__class__ is dict:
        return is_reference(value) or any(refers(v) for v in value.values() if v.__class__ in (dict, list))
    if value.__class__ is list:
        return any(refers(v) for v in value if v.__class__ in (dict, list))
    return False


async def resolved(value: Any, blobs: Blobs) -> Any:
    """The value with everything it refers to in its place. Raises NotFound, StoreUnavailable."""
    if is_reference(value):
        return msgspec.json.decode(await blobs.get(str(value[BLOB])))
    if value.__class__ is dict:
        entries = cast("dict[str, Any]", value)
        return {k: await resolved(v, blobs) if refers(v) else v for k, v in entries.items()}
    if value.__class__ is list:
        return [await resolved(v, blobs) if refers(v) else v for v in cast("list[Any]", value)]
    return value


async def kept(encoded: bytes, blobs: Blobs) -> dict[str, Any]:
    """Keep a large result; what stands for it. Raises StoreUnavailable, TooLarge."""
    return {BLOB: await blobs.put(encoded), "size": len(encoded)}


async def read_input(call: TaskCall, task: Task, blobs: Blobs, *, typed: bool) -> Any:
    """The input with all it refers to; `typed`: as the type the task wants. Raises TaskError."""
    value = call.input
    if refers(value):
        value = await _patiently(lambda: resolved(call.input, blobs))
    if task.input is Any or not typed:
        return value
    try:
        return msgspec.convert(value, task.input)
    except msgspec.ValidationError as error:
        raise TaskError(f"the input of {task.id}: {error}", kind="invalid") from None


def check_output(encoded: bytes, task: Task) -> None:
    """Raises TaskError when the result is not of the type the task promises."""
    try:
        msgspec.json.decode(encoded, type=task.output)
    except msgspec.ValidationError as error:
        raise TaskError(f"the result of {task.id} is not what it promises: {error}", kind="invalid-output") from None


async def carried(encoded: bytes, blobs: Blobs) -> Any:
    """A result as it travels: itself, or what stands for it when it is large. Raises TaskError."""
    if len(encoded) <= LIMIT:
        return msgspec.Raw(encoded)
    return await _patiently(lambda: kept(encoded, blobs))


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Work with the store of large values, again while it is away."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            return await work()
        except NotFound as error:
            raise TaskError(error.message, kind="invalid") from None
        except TooLarge as error:
            raise TaskError(f"a large value: {error.message}", kind="too-large") from None
        except Unavailable as error:
            if asyncio.get_running_loop().time() > deadline:
                raise TaskError(f"a large value: {error.message}", kind="unavailable") from None
        await asyncio.sleep(0.5)


def plain(data: Any) -> Any:
    """Data of an error, if it can be stored."""
    try:
        return msgspec.to_builtins(data)
    except TypeError:
        return repr(data)
