"""Child processes for functions that need a processor of their own. One that dies takes its call along, no other."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.workflows.tasks import Task, TaskError
from infra.tasks import frames
from infra.tasks.context import Context

_SCRIPT: Final = str(Path(__file__).with_name("child.py"))
_LARGEST: Final = 256 * 1024 * 1024
"""Bytes of one result."""


class Lost(Exception):
    """The process that performed the call is gone."""


class Child:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.alive = True

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def call(self, task: Task, value: Any, context: Context) -> bytes:
        """The function's result as JSON. Raises TaskError with what the function raised, and Lost."""
        try:
            function, kind = pickle.dumps(task.run), pickle.dumps(task.input)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise TaskError(f"{task.id} cannot be called in another process: {error}", kind="invalid-task") from None
        call = frames.Call(
            function, kind, msgspec.json.encode(value), task.wants_context, task.name, context.tenant, context.run,
            context.step, context.attempt, context.key, _packages(task),
        )  # fmt: skip
        returned = await self._exchange(call, context)
        for name, amount in returned.used.items():
            context.usage(**{name: amount})
        if returned.kind:
            raise TaskError(returned.message, kind=returned.kind, data=msgspec.json.decode(returned.data))
        return returned.output

    def ask_to_stop(self) -> None:
        """Let the function know."""
        self._write(frames.Stop())

    def kill(self) -> None:
        """End it, whatever it does."""
        self.alive = False
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def gone(self) -> None:
        """Kill it, and wait until it is gone."""
        self.kill()
        await self._process.wait()

    async def _exchange(self, call: frames.Call, context: Context) -> frames.Returned:
        pipe = self._process.stdout
        assert pipe is not None
        finished = False
        try:
            self._write(call)
            while True:
                size = frames.LENGTH.unpack(await pipe.readexactly(4))[0]
                if size > _LARGEST:
                    raise TaskError(f"a result of {size} bytes; the limit is {_LARGEST}", kind="too-large")
                message = frames.decode_up(await pipe.readexactly(size))
                if isinstance(message, frames.Returned):
                    finished = True
                    return message
                if message.what == "progress":
                    context.progress(msgspec.json.decode(message.data))
                else:
                    context.heartbeat()
        except (asyncio.IncompleteReadError, OSError):
            self.alive = False
            status = await self._process.wait()
            raise Lost(f"its process ended with {status}") from None
        finally:
            if not finished:  # whatever it does now, nobody reads it
                self.kill()

    def _write(self, message: Any) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError):
            pipe.write(frames.frame(message))


class Processes:
    """Idle processes are kept for the next call; the caller bounds how many calls there are at once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._idle: list[Child] = []
        self._all: set[Child] = set()

    async def take(self) -> Child:
        """A process nobody else uses, started if need be."""
        for child in [child for child in self._all if not child.alive]:
            await self._bury(child)
        while self._idle:
            child = self._idle.pop()
            if child.alive and child._process.returncode is None:
                return child
            await self._bury(child)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", _SCRIPT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        child = Child(process)
        self._all.add(child)
        child._write(frames.Setup(sys.path))
        return child

    def give_back(self, child: Child) -> None:
        """It is free again, or dead."""
        if child.alive and child in self._all and len(self._idle) < self._size:
            self._idle.append(child)
        else:
            child.kill()

    async def stop(self) -> None:
        """End them all."""
        for child in list(self._all):
            await self._bury(child)
        self._idle.clear()

    async def _bury(self, child: Child) -> None:
        self._all.discard(child)
        await child.gone()
        pipe = child._process.stdin
        if pipe is not None:
            pipe.close()


def _packages(task: Task) -> dict[str, list[str]]:
    """The package of the function, and of the type of its input, when it was loaded by its directory."""
    found: dict[str, list[str]] = {}
    for thing in (task.run, task.input):
        root = getattr(thing, "__module__", "").partition(".")[0]
        module = sys.modules.get(root)
        spec = getattr(module, "__spec__", None)
        if spec is not None and spec.origin is None and spec.loader is None and spec.submodule_search_locations:
            found[root] = list(spec.submodule_search_locations)
    return found
