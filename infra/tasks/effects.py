"""The effects by which runs ask for tasks: one kind for each class, and one that stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any, Final, Protocol

from actors.core.kind import EFFECT_CLASSES, Attempt, EffectKind
from actors.workflows.tasks import CANCEL, CancelCall, TaskCall, TaskResult, effect_kind
from events.errors import NotOwned
from infra.tasks.local import Executor

AT_ONCE: Final = 20_000
"""Calls of a class that a host has in hand, waiting ones included; more wait in the ledger of effects."""

AGAIN: Final = 0.5
"""Seconds after which a call that has not stopped is told so again."""

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

    def cancel(self, request: CancelCall, attempt: Attempt) -> Awaitable[object]:
        """Stop a call that `perform` or `reconcile` was asked for and has not answered yet."""
        ...


class Stops:
    """A stop ends with its call, not before: until then it is open in the ledger, so that whoever takes the run over
    stops the call as well instead of making it again.
    """

    def __init__(self, performer: Performer) -> None:
        self._performer = performer
        self._under_way: dict[tuple[str, str, str, int], asyncio.Future[bool]] = {}

    async def perform(self, effect_class: str, call: TaskCall, attempt: Attempt) -> Any:
        """As the performer does."""
        return await self._until(call, attempt, self._performer.perform(effect_class, call, attempt))

    async def reconcile(self, call: TaskCall, attempt: Attempt) -> tuple[str, Any] | None:
        """As the performer does."""
        return await self._until(call, attempt, self._performer.reconcile(call, attempt))

    async def cancel(self, request: CancelCall, attempt: Attempt) -> None:
        """Stop a call and wait until it has ended. Raises NotOwned when another host has it by now."""
        name = (attempt.tenant, request.run, request.step, request.attempt)
        if name not in self._under_way:
            await asyncio.sleep(AGAIN)  # both were found in the ledger, this one first
        while (ended := self._under_way.get(name)) is not None:
            await self._performer.cancel(request, attempt)
            await asyncio.wait([ended], timeout=AGAIN)
            if ended.done() and not ended.result():
                raise NotOwned(f"{request.run} moved to another host, which stops {request.step}")

    async def _until(self, call: TaskCall, attempt: Attempt, work: Awaitable[Any]) -> Any:
        name = (attempt.tenant, call.run, call.step, call.attempt)
        ended = self._under_way[name] = asyncio.get_running_loop().create_future()
        here = True
        try:
            return await work
        except NotOwned:
            here = False
            raise
        finally:
            ended.set_result(here)
            if self._under_way.get(name) is ended:
                del self._under_way[name]


def task_effects(performer: Performer) -> list[EffectKind]:
    """Everything `run` actors ask of the world."""
    # No timeout and no repetition here: the call has its own, and a result is a result even if the task failed.
    stops = Stops(performer)
    kinds = [
        EffectKind(
            effect_kind(c), request=TaskCall, perform=partial(stops.perform, c), effect_class=c, attempts=1,
            timeout=None, concurrency=AT_ONCE, reconcile=stops.reconcile if c == "irreversible" else None,
        )
        for c in EFFECT_CLASSES
    ]  # fmt: skip
    stop = EffectKind(
        CANCEL, request=CancelCall, perform=stops.cancel, effect_class="idempotent", timeout=None, concurrency=AT_ONCE
    )
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

    async def cancel(self, request: CancelCall, attempt: Attempt) -> bool:
        """Stop a call; says whether it is under way here."""
        return self._executor.cancel(attempt.tenant, request.run, request.step, request.attempt, request.grace)
