"""The effects by which runs ask for tasks: one kind for each class, and one that stops."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any, Final, Protocol

from actors.core.kind import EFFECT_CLASSES, Attempt, EffectKind
from actors.workflows.tasks import CANCEL, CancelCall, TaskCall, TaskResult, effect_kind
from infra.tasks.local import Executor

AT_ONCE: Final = 20_000
"""Calls of a class that a host has in hand, waiting ones included; more wait in the ledger of effects."""

LOST_AGAIN: Final = 2
"""Times a repeatable call is made again when its child process died."""


class Performer(Protocol):
    """Who performs calls."""

    def perform(self, effect_class: str, call: TaskCall, attempt: Attempt) -> Awaitable[Any]:
        """The TaskResult. Raises OSError when nobody knows what became of an irreversible call."""
        ...

    def reconcile(self, call: TaskCall, attempt: Attempt) -> Awaitable[tuple[str, Any] | None]:
        """What became of an irreversible call that another host made, or None."""
        ...

    def cancel(self, request: CancelCall, attempt: Attempt) -> Awaitable[None]:
        """Stop a call."""
        ...


def task_effects(performer: Performer) -> list[EffectKind]:
    """Everything `run` actors ask of the world."""
    # No timeout and no repetition here: the call has its own, and a result is a result even if the task failed.
    kinds = [
        EffectKind(
            effect_kind(c), request=TaskCall, perform=partial(performer.perform, c), effect_class=c, attempts=1,
            timeout=None, concurrency=AT_ONCE, reconcile=performer.reconcile if c == "irreversible" else None,
        )
        for c in EFFECT_CLASSES
    ]  # fmt: skip
    stop = EffectKind(CANCEL, request=CancelCall, perform=performer.cancel, effect_class="idempotent", concurrency=1000)
    return [*kinds, stop]


class Here:
    """Performs everything in this process."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def knows(self, task: str) -> bool:
        """Whether the task can be performed here."""
        return self._executor.knows(task)

    async def perform(self, effect_class: str, call: TaskCall, attempt: Attempt) -> Any:
        """The TaskResult. A call whose child process died is made again a few times: what is irreversible raises."""
        result: TaskResult = await self._executor.perform(call, attempt.tenant)
        for _ in range(LOST_AGAIN):
            if result.kind != "lost":
                break
            result = await self._executor.perform(call, attempt.tenant)
        return result

    async def reconcile(self, call: TaskCall, attempt: Attempt) -> tuple[str, Any] | None:
        """What the task itself finds out, or None."""
        return await self._executor.reconcile(call, attempt.tenant)

    async def cancel(self, request: CancelCall, attempt: Attempt) -> None:
        """Stop a call, if it is under way."""
        self._executor.cancel(attempt.tenant, request.run, request.step, request.attempt, request.grace)
