"""One call under way in this process: what is known of it, and its clocks."""

from __future__ import annotations

import asyncio
from typing import Any

from actors.workflows.tasks import Task, TaskCall, TaskResult
from infra.tasks.context import Context
from infra.tasks.lanes import Lane, Ticket

Name = tuple[str, str, str, int]
"""(tenant, run, step, attempt): at most one call of that name is performed at a time."""


class Running:
    """One call, from its arrival to its result."""

    __slots__ = (
        "beat", "call", "child", "context", "done", "lane", "name", "started", "task", "tenant", "ticket", "timers",
        "verdict", "work",
    )  # fmt: skip

    def __init__(self, name: Name, call: TaskCall, task: Task, lane: Lane, done: asyncio.Future[TaskResult]) -> None:
        self.name = name
        self.call = call
        self.task = task
        self.lane = lane
        self.done = done
        self.context: Context | None = None
        self.started = 0
        self.beat = 0.0
        self.ticket: Ticket | None = None
        self.work: asyncio.Task[None] | None = None
        self.child: Any = None
        self.timers: list[asyncio.TimerHandle] = []
        self.verdict: tuple[str, str] | None = None
        """(kind, message) once it was decided that this call is to end, and how."""

    @property
    def here(self) -> bool:
        """Whether it runs on the event loop."""
        return self.task.where == "here"

    def result(
        self, worker: str, output: Any = None, kind: str = "", message: str = "", data: Any = None
    ) -> TaskResult:
        """What came of it, made at `worker`, with what it used."""
        used = self.context.used() if self.context is not None else {}
        return TaskResult(output, kind, message, data, self.started, worker, used)

    def stop_timers(self) -> None:
        """No clock of it runs any more."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()
