"""A few threads for functions that block. Daemons: one that never returns keeps no process from ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class Threads:
    """At most `size` threads, started when needed. The caller sees to it that no more calls than that are open."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._started = 0
        self._open = 0

    def run(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Call it in a thread. The future has its result or error; nothing stops a function that was begun."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._open += 1
        if self._open > self._started and self._started < self._size:
            self._started += 1
            threading.Thread(target=self._serve, name=f"task-{self._started}", daemon=True).start()
        self._queue.put((loop, future, function))
        return future

    def stop(self) -> None:
        """Let the threads end once they are idle."""
        for _ in range(self._started):
            self._queue.put(None)
        self._started = 0

    def _serve(self) -> None:
        while (job := self._queue.get()) is not None:
            loop, future, function = job
            result, error = None, None
            try:
                result = function()
            except BaseException as raised:
                error = raised
            try:
                loop.call_soon_threadsafe(self._done, future, result, error)
            except RuntimeError:  # the loop is closed: nobody wants to know any more
                return
            del job, future, function, result, error

    def _done(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._open -= 1
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(RuntimeError("StopIteration") if isinstance(error, StopIteration) else error)
