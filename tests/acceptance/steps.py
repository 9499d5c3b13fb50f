"""An event loop on virtual time that knows which host each of its steps belongs to, and can end or stop a host between
any two of them: what lies between two steps is what lies between two awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

from actors.testing import VirtualTimeLoop

T = TypeVar("T")


class Process:
    """What would be a process: everything that begins in its context belongs to it. Ended, it takes no further step;
    stopped, it takes those that came meanwhile once it goes on, as after SIGSTOP and SIGCONT."""

    def __init__(self, name: str, on_step: Callable[[Process], None]) -> None:
        self.name = name
        self.on_step = on_step
        self.dead = False
        self.halted = False
        self.context = copy_context()
        self.context.run(OWNER.set, self)
        self._held: list[tuple[_Handles, Callable[..., object], tuple[Any, ...], Context]] = []

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something in it."""
        return asyncio.get_running_loop().create_task(work, context=self.context)

    def soon(self, function: Callable[..., object], *args: Any) -> None:
        """Something reaches it from outside."""
        asyncio.get_running_loop().call_soon(function, *args, context=self.context)

    def step(self, handles: _Handles, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        """One step, unless it is not to be."""
        if not (self.dead or self.halted):
            self.on_step(self)
        if self.dead or self.halted:
            self._held.append((handles, function, args, copy_context()))
        else:
            function(*args)

    def resume(self) -> None:
        """Go on."""
        self.dead = self.halted = False
        held, self._held = self._held, []
        for handles, function, args, context in held:
            context.run(asyncio.get_running_loop().call_soon, _unless_cancelled, handles, function, args)


_Handles = list[asyncio.Handle]
"""One handle: what was to run may be cancelled while it is held up."""


def _unless_cancelled(handles: _Handles, function: Callable[..., object], args: tuple[Any, ...]) -> None:
    if not handles[0].cancelled():
        function(*args)


OWNER: ContextVar[Process | None] = ContextVar("owner", default=None)
NOBODY = Context()
"""The context of what belongs to no host: the network, the store, clients."""


class SteppedLoop(VirtualTimeLoop):
    """Every callback passes through the process it belongs to."""

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is None:
            return super().call_soon(callback, *args, context=context)
        handles: _Handles = []
        handle = super().call_soon(owner.step, handles, callback, args, context=context)
        handles.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is None:
            return super().call_at(when, callback, *args, context=context)
        handles: _Handles = []
        handle = super().call_at(when, owner.step, handles, callback, args, context=context)
        handles.append(handle)
        return handle


async def quiet() -> None:
    """End everything but the caller."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in others:
            task.cancel()
        await asyncio.wait(others)


def run_stepped(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on such a loop. `main` leaves no process dead or halted behind."""
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        return runner.run(main)
