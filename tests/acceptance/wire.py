"""A host's way to everything outside it: each call is a request that travels, takes effect, and is answered."""

from __future__ import annotations

import asyncio
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from events.errors import OutcomeUnknown, StoreUnavailable
from events.store import EventStore
from projections.core.port import ReadModelStore
from tests.acceptance.steps import NOBODY

if TYPE_CHECKING:
    from tests.acceptance.world import Machine

CALLS = frozenset(
    name for port in (EventStore, ReadModelStore) for name, method in vars(port).items() if iscoroutinefunction(method)
)
"""What is a request; everything else is reached at once."""


class Wire:
    """Stands for a port. The caller may be ended at any time: what is on its way arrives all the same."""

    def __init__(self, machine: Machine, port: Any) -> None:
        self._machine = machine
        self._port = port

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name not in CALLS:
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._request(name, method, args, kwargs)

        return call

    async def _request(self, name: str, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        machine = self._machine
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        fault = machine.world.called(machine)
        if fault == "killed before":
            machine.kill()
        else:
            loop.call_later(machine.world.latency(), self._arrive, name, method, args, kwargs, answer, fault,
                            context=NOBODY)  # fmt: skip
        return await answer

    def _arrive(
        self, name: str, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any], answer: asyncio.Future[Any],
        fault: str,
    ) -> None:  # fmt: skip
        if fault == "not reached" or self._machine.cut_off:
            self._later(answer, None, StoreUnavailable("the store was not reached"))
            return
        task = asyncio.get_running_loop().create_task(method(*args, **kwargs), context=NOBODY)
        task.add_done_callback(lambda done: self._done(name, done, answer, fault), context=NOBODY)

    def _done(self, name: str, done: asyncio.Task[Any], answer: asyncio.Future[Any], fault: str) -> None:
        error = done.exception()
        if fault == "killed after":
            self._machine.kill()
        elif fault == "answer lost" or self._machine.cut_off:
            lost = OutcomeUnknown if name in ("append", "bulk", "commit") else StoreUnavailable
            self._later(answer, None, lost("the answer was lost"))
        else:
            self._later(answer, None if error is not None else done.result(), error)

    def _later(self, answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        delay = self._machine.world.latency()
        asyncio.get_running_loop().call_later(delay, _settle, answer, result, error, context=NOBODY)


def _settle(answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
