"""An event loop whose time is not the world's: when everybody waits, it jumps to the next thing that is due."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z in microseconds: where virtual time begins."""


THREAD_PATIENCE: Final = 1.0
"""Seconds of the world that time stands still for threads: one that waits for a later time must not hang everything."""


class _Selector(selectors.DefaultSelector):
    """Never blocks on time alone: the loop's clock is moved instead, unless a thread is at work."""

    clock: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and self.clock.in_threads and (timeout is None or timeout > 0):
            ready = super().select(THREAD_PATIENCE)
        if ready or timeout is None or timeout <= 0:
            if not ready and timeout is None:
                return super().select(0.05)
            return ready
        self.clock.jump(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`loop.time()` starts at 0 and moves only when nothing else can run, in a thread neither.

    For code without outside connections. `in_threads` counts the calls that threads have not finished.
    """

    def __init__(self) -> None:
        selector = _Selector()
        selector.clock = self
        self._virtual = 0.0
        self.in_threads = 0
        super().__init__(selector)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As asyncio's; time stands still until the thread is done."""
        future = super().run_in_executor(executor, func, *args)
        self.in_threads += 1
        future.add_done_callback(self._out_of_thread)
        return future

    def _out_of_thread(self, _done: asyncio.Future[Any]) -> None:
        self.in_threads -= 1

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual

    def jump(self, seconds: float) -> None:
        """Move the clock."""
        self._virtual += seconds


class VirtualClock:
    """Wall-clock time (microseconds) that follows the running loop's own time, and can be set off against it."""

    def __init__(self, start: int = START) -> None:
        self._start = start

    def __call__(self) -> int:
        """Microseconds since 1970 (UTC)."""
        return self._start + int(asyncio.get_running_loop().time() * 1_000_000)

    def shift(self, seconds: float) -> None:
        """Let the wall clock jump, as one that is set by hand or by NTP does."""
        self._start += int(seconds * 1_000_000)


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
