"""Group commit: while one commit is in flight, the appends of all actors gather into the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from events.errors import ThespisError, Unavailable
from events.store import Append, Appended, EventStore, Verdict

OnVerdict = Callable[[Verdict | ThespisError, Appended | None], None]
OnBatch = Callable[[Sequence[Append], Appended], None]

log = logging.getLogger("thespis.appender")

MAX_APPENDS = 1000
MAX_EVENTS = 4000


class Appender:
    """One writer for a host. Takes what has arrived, commits it, hands out verdicts, and goes on; no timer, no delay.

    `on_batch` is called after the verdicts of each written batch, with the batch and its outcome.
    """

    def __init__(self, store: EventStore, on_batch: OnBatch | None = None) -> None:
        self._store = store
        self._on_batch = on_batch
        self._waiting: list[Append] = []
        self._callbacks: list[OnVerdict] = []
        self._events = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._busy = True
        self._pause = 0.0
        self.batches = 0
        self.appends = 0

    def start(self) -> None:
        """Begin committing."""
        self._task = asyncio.create_task(self._run(), name="appender")

    async def stop(self) -> None:
        """Commit what is waiting, then end."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    @property
    def waiting(self) -> int:
        """Appends that are not in a commit yet."""
        return len(self._waiting)

    def submit(self, append: Append, on_verdict: OnVerdict) -> None:
        """Queue an append; `on_verdict` is called once, after the commit or with what went wrong."""
        self._waiting.append(append)
        self._callbacks.append(on_verdict)
        self._events += len(append.events)
        if not self._busy:
            self._wake.set()

    async def append(self, append: Append) -> tuple[Verdict, Appended]:
        """`submit` for those who can wait."""
        future: asyncio.Future[tuple[Verdict, Appended]] = asyncio.get_running_loop().create_future()

        def done(verdict: Verdict | ThespisError, appended: Appended | None) -> None:
            if future.done():
                return
            if isinstance(verdict, ThespisError):
                future.set_exception(verdict)
            elif appended is not None:
                future.set_result((verdict, appended))

        self.submit(append, done)
        return await future

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                if self._stopping:
                    return
                self._wake.clear()
                self._busy = False
                await self._wake.wait()
                self._busy = True
                continue
            batch, callbacks = self._take()
            try:
                appended = await self._store.append(batch)
            except ThespisError as error:
                await self._failed(batch, callbacks, error)
                continue
            except Exception as error:
                log.error("a batch of %d appends cannot be written", len(batch), exc_info=error)
                await self._failed(batch, callbacks, ThespisError(f"{type(error).__name__}: {error}"))
                continue
            self._pause = 0.0
            self.batches += 1
            self.appends += len(batch)
            self._written(batch, callbacks, appended)

    async def _failed(self, batch: list[Append], callbacks: list[OnVerdict], error: ThespisError) -> None:
        """An absent store is left alone for a moment; what the store will not take is found by going one by one."""
        if not isinstance(error, Unavailable) and len(batch) > 1:
            for append, done in zip(batch, callbacks, strict=True):
                try:
                    appended = await self._store.append([append])
                except Exception as failure:
                    done(failure if isinstance(failure, ThespisError) else ThespisError(str(failure)), None)
                else:
                    self._written([append], [done], appended)
            return
        for done in callbacks:
            done(error, None)
        if isinstance(error, Unavailable):
            self._pause = min(max(self._pause * 2, 0.02), 1.0)
            await asyncio.sleep(self._pause)

    def _written(self, batch: list[Append], callbacks: list[OnVerdict], appended: Appended) -> None:
        for done, verdict in zip(callbacks, appended.verdicts, strict=True):
            try:
                done(verdict, appended)
            except Exception as error:
                log.critical("nobody took a verdict", exc_info=error)
        if self._on_batch is not None:
            try:
                self._on_batch(batch, appended)
            except Exception as error:
                log.critical("a listener failed after a commit", exc_info=error)

    def _take(self) -> tuple[list[Append], list[OnVerdict]]:
        waiting, callbacks = self._waiting, self._callbacks
        if len(waiting) <= MAX_APPENDS and self._events <= MAX_EVENTS:
            self._waiting, self._callbacks, self._events = [], [], 0
            return waiting, callbacks
        count = events = 0
        for append in waiting:
            if count and (count >= MAX_APPENDS or events + len(append.events) > MAX_EVENTS):
                break
            count += 1
            events += len(append.events)
        self._waiting, self._callbacks = waiting[count:], callbacks[count:]
        self._events -= events
        return waiting[:count], callbacks[:count]
