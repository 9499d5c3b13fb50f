"""One event loop in a thread of its own: the library calls from any thread, the log is asyncio.

The thread starts with the first call, so that factories made for their mapper alone cost nothing.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from eventsourcing.persistence import InterfaceError

from events.errors import ThespisError
from infra.eventsourcing.errors import translated

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for callers of other threads, until it is closed; `at_end` is awaited last."""

    def __init__(self, at_end: Callable[[], Awaitable[None]]) -> None:
        self._at_end = at_end
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._pid = os.getpid()
        self._waiting: set[Future[Any]] = set()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it there and wait. Raises the library's exceptions for our errors."""
        try:
            with self._lock:
                future = asyncio.run_coroutine_threadsafe(coroutine, self._started())
                self._remember(future)
        except InterfaceError:
            coroutine.close()
            raise
        return self.wait(future)

    def post(self, function: Callable[[Future[T]], None]) -> T:
        """Call a function there, which is to see that the future it gets is settled, and wait for that."""
        future: Future[T] = Future()
        with self._lock:
            self._started().call_soon_threadsafe(function, future)
            self._remember(future)
        return self.wait(future)

    def wait(self, future: Future[T]) -> T:
        """The result, or what went wrong in the library's words."""
        try:
            return future.result()
        except ThespisError as error:
            raise translated(error) from error
        except CancelledError:
            raise InterfaceError("the application was closed meanwhile") from None

    def _remember(self, future: Future[Any]) -> None:
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise InterfaceError("the application is closed")
        if self._pid != os.getpid():
            raise InterfaceError("the application was made before this process forked; make it afterwards")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            # A daemon, so that a program that forgets to close its application ends all the same: whatever a caller
            # was told is written by then.
            self._thread = threading.Thread(target=self._run, args=(self._loop,), name="eventsourcing", daemon=True)
            self._thread.start()
        return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(_awaited(self._at_end))
            others = asyncio.all_tasks(loop)
            for task in others:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*others, return_exceptions=True))
        finally:
            loop.close()
            for future in list(self._waiting):
                future.cancel()

    def close(self) -> None:
        """End the thread, once what it does is finished. May be called again, and by a finalizer on any thread."""
        with self._lock:
            if self._closed or self._pid != os.getpid():
                return
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        if thread is not threading.current_thread():
            thread.join()


async def _awaited(at_end: Callable[[], Awaitable[None]]) -> None:
    await at_end()
