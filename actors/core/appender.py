"""Group commit: while one commit is in flight, the appends of all actors gather into the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from events.errors import ThespisError
from events.store import Append, Appended, EventStore, Verdict

OnVerdict = Callable[[Verdict | ThespisError, Appended | None], None]
OnBatch = Callable[[Sequence[Append], Appended], None]

MAX_APPENDS = 1000
MAX_EVENTS = 4000


class Appender:
    """One writer for a host. Takes what has arrived, commits it, hands out verdicts, and goes on; no timer, no delay.

    `on_batch` is called after the verdicts of each written batch, with the batch and its outcome.
    """

    def __init__(self, store: EventStore, on_batch: OnBatch | None = None) -> None:
        self._store = store
        self._on_batch = on_batch
        self._waiting: list[tuple[Append, OnVerdict]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
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
        self._waiting.append((append, on_verdict))
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
                await self._wake.wait()
                continue
            entries = self._take()
            batch = [append for append, _ in entries]
            try:
                appended = await self._store.append(batch)
            except ThespisError as error:
                for _, done in entries:
                    done(error, None)
                continue
            self.batches += 1
            self.appends += len(batch)
            for (_, done), verdict in zip(entries, appended.verdicts, strict=True):
                done(verdict, appended)
            if self._on_batch is not None:
                self._on_batch(batch, appended)

    def _take(self) -> list[tuple[Append, OnVerdict]]:
        waiting = self._waiting
        if len(waiting) <= MAX_APPENDS:
            events = sum(len(append.events) for append, _ in waiting)
            if events <= MAX_EVENTS:
                self._waiting = []
                return waiting
        count = events = 0
        for append, _ in waiting:
            if count and (count >= MAX_APPENDS or events + len(append.events) > MAX_EVENTS):
                break
            count += 1
            events += len(append.events)
        self._waiting = waiting[count:]
        return waiting[:count]
