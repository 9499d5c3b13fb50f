"""An event loop whose time is not the world's: when everybody waits, it jumps to the next thing that is due."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z in microseconds: where virtual time begins."""


class _Selector(selectors.DefaultSelector):
    """Never blocks on time alone: the loop's clock is moved instead."""

    clock: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout is None or timeout <= 0:
            if not ready and timeout is None:
                return super().select(0.05)
            return ready
        self.clock.jump(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`loop.time()` starts at 0 and moves only when nothing else can run. For code without outside connections."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.clock = self
        self._virtual = 0.0
        super().__init__(selector)

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
