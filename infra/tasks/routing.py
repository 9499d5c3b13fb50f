"""Where a call is performed: here, or by a worker."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from actors.core.kind import Attempt
from actors.workflows.tasks import CancelCall, TaskCall
from infra.tasks.dispatch import Dispatch
from infra.tasks.effects import Here

PATIENCE: Final = 10.0
"""Seconds to wait for a worker that knows a task, when neither this host nor any worker does."""


class Routed:
    """Steps with a queue go there; others are performed here if the task is known here, else by workers that offer it.

    A `Performer`.
    """

    def __init__(self, here: Here, dispatch: Dispatch) -> None:
        self._here = here
        self._dispatch = dispatch

    async def perform(self, effect_class: str, call: TaskCall, attempt: Attempt) -> Any:
        """The TaskResult. Raises OSError when nobody knows what became of an irreversible call."""
        if not call.queue and self._here.knows(call.task):
            return await self._here.perform(effect_class, call, attempt)
        queue = call.queue or await self._offered(call.task)
        if not queue:
            return await self._here.perform(effect_class, call, attempt)  # says which tasks are known
        return await self._dispatch.perform(call, attempt, effect_class, queue)

    async def reconcile(self, call: TaskCall, attempt: Attempt) -> tuple[str, Any] | None:
        """What became of an irreversible call another host made: its worker's word, or the task's reconciler's."""
        if call.queue or not self._here.knows(call.task):
            queue = call.queue or await self._offered(call.task)
            if queue and (found := await self._dispatch.attach(call, attempt, queue)) is not None:
                return found
        return await self._here.reconcile(call, attempt)

    async def cancel(self, request: CancelCall, attempt: Attempt) -> None:
        """Stop a call."""
        if not await self._dispatch.cancel(request, attempt) and not await self._here.cancel(request, attempt):
            self._dispatch.cancel_early(request, attempt)

    async def _offered(self, task: str) -> str | None:
        roster = self._dispatch.roster
        await roster.ready()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while (found := roster.offering(task)) is None and loop.time() < deadline:
            await roster.news(deadline - loop.time())
        return found
