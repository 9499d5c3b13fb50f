"""Performs task calls in this process: on the event loop, in threads, or in child processes.

Nothing here blocks the loop, and nothing is unbounded: calls wait for slots in lanes, the most urgent first.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import isawaitable, iscoroutinefunction, signature
from typing import Any, Final

import msgspec

from actors.workflows.tasks import Catalogue, Task, TaskCall, TaskError, TaskResult
from events.blobs import Blobs
from events.errors import ThespisError
from infra.tasks.context import Context
from infra.tasks.lanes import Lane
from infra.tasks.processes import Lost, Processes
from infra.tasks.running import Name, Running
from infra.tasks.threads import Threads
from infra.tasks.values import carried, check_output, plain, read_input

log = logging.getLogger("thespis.tasks")

LAST_MOMENT: Final = 1.0
"""Seconds an async task has to clean up once its time is over."""
MayBegin = Callable[[], Awaitable[bool]]
Show = Callable[[str, TaskCall, Any], None]
"""Called with (tenant, call, data): progress for whoever is watching."""

_encode = msgspec.json.Encoder().encode


class OutcomeUnknown(OSError):
    """An irreversible task was begun, and nobody knows what it did. The kernel records the effect as unknown."""


class Slots(msgspec.Struct, frozen=True):
    """How many calls at once, by where they run. `processes` None: as many as there are processors."""

    here: int = 256
    threads: int = 32
    processes: int | None = None


class Executor:
    """Performs what its catalogue knows. `worker` names this place in results.

    `inline` runs everything on the loop itself, for virtual time.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        blobs: Blobs,
        *,
        slots: Slots | None = None,
        worker: str = "",
        now: Callable[[], int] = lambda: time.time_ns() // 1000,
        show: Show | None = None,
        inline: bool = False,
    ) -> None:
        slots = slots or Slots()
        children = slots.processes or os.cpu_count() or 1
        self.catalogue = catalogue
        self.blobs = blobs
        self.worker = worker
        self.show = show
        self._now = now
        self._inline = inline
        self._lanes = {"here": Lane(slots.here), "thread": Lane(slots.threads), "process": Lane(children)}
        self._threads = Threads(slots.threads)
        self._processes = Processes(children)
        self._running: dict[Name, Running] = {}
        self._found: dict[str, Task | None] = {}
        self._loose: set[asyncio.Task[None]] = set()

    def knows(self, task: str) -> bool:
        """Whether the task is in the catalogue."""
        return self._find(task) is not None

    @property
    def open(self) -> int:
        """Calls begun or waiting for a slot."""
        return len(self._running)

    async def stop(self) -> None:
        """Cut off everything."""
        for running in list(self._running.values()):
            self._drop(running)
        for task in list(self._loose):
            task.cancel()
        if self._loose:
            await asyncio.wait(self._loose, timeout=LAST_MOMENT)
        self._threads.stop()
        await self._processes.stop()

    async def perform(self, call: TaskCall, tenant: str = "default", may_begin: MayBegin | None = None) -> Any:
        """The call's TaskResult, whatever the task did; cancelled from outside, the call is cut off.

        Raises OutcomeUnknown for an irreversible task that was begun and lost, stopped half way or out of time.
        A call of the same run, step and attempt that is under way is waited for, not made twice. `may_begin` is asked
        when it has its slot; if it says no, the kind of the result is `withdrawn`.
        """
        name = (tenant, call.run, call.step, call.attempt)
        running = self._running.get(name)
        if running is not None:
            return await asyncio.shield(running.done)
        task = self._find(call.task)
        if task is None:
            known = ", ".join(self.catalogue.names()) or "none"
            return TaskResult(kind="unknown-task", message=f"no task {call.task!r} here; known: {known}",
                              worker=self.worker)  # fmt: skip
        loop = asyncio.get_running_loop()
        running = Running(name, call, task, self._lanes[task.where], loop.create_future())
        self._running[name] = running
        begin = partial(self._begin, running, may_begin)
        running.ticket = running.lane.enter(task.id, task.at_once, call.priority, begin)
        if running.ticket is not None and call.queued is not None:
            running.timers.append(loop.call_later(call.queued, self._not_begun, running))
        try:
            return await running.done
        except asyncio.CancelledError:
            self._drop(running)
            raise

    def cancel(self, tenant: str, run: str, step: str, attempt: int, grace: float) -> bool:
        """Ask a call to stop, and stop it after `grace` seconds; says whether there is one."""
        running = self._running.get((tenant, run, step, attempt))
        if running is None:
            return False
        self._end(running, "cancelled", "stopped", grace)
        return True

    async def reconcile(self, call: TaskCall, tenant: str) -> tuple[str, Any] | None:
        """What the task's own `reconcile` finds out about a call somebody else began: ("succeeded", TaskResult),
        ("failed", text), or None when there is none or it cannot tell. Raises what that raises.
        """
        task = self._find(call.task)
        if task is None or task.reconcile is None:
            return None
        value = await read_input(call, task, self.blobs, typed=True)
        context = Context(task.name, tenant, call.run, call.step, call.attempt, call.key, lambda _what, _data: None)
        arguments = (value, context)[: len(signature(task.reconcile).parameters)]
        if iscoroutinefunction(task.reconcile) or self._inline:
            found = task.reconcile(*arguments)
            found = await found if isawaitable(found) else found
        else:
            found = await self._threads.run(partial(task.reconcile, *arguments))
        if found is None:
            return None
        status, value = found
        if status == "succeeded":
            return status, TaskResult(
                await carried(_encode(value), self.blobs), worker=self.worker, usage=context.used()
            )
        return "failed", str(value)

    # -- begin

    def _find(self, name: str) -> Task | None:
        if name not in self._found:
            if len(self._found) > 10_000:
                self._found.clear()
            try:
                self._found[name] = self.catalogue.find(name)
            except ThespisError:
                self._found[name] = None
        return self._found[name]

    def _begin(self, running: Running, may_begin: MayBegin | None) -> None:
        """It has a slot."""
        loop = asyncio.get_running_loop()
        if running.timers:
            running.stop_timers()
        if may_begin is None:
            self._clock(running)
        running.work = loop.create_task(self._work(running, may_begin))
        running.work.add_done_callback(partial(self._worked, running))

    def _clock(self, running: Running) -> None:
        """From here on its time runs, and what becomes of it matters."""
        call, task = running.call, running.task
        loop = asyncio.get_running_loop()
        running.started = self._now()
        say = partial(self._said, running, loop)
        running.context = Context(
            task.name, running.name[0], call.run, call.step, call.attempt, call.key, say, call.variables_of,
            call.requesters, call.cause,
        )  # fmt: skip
        timeout = task.timeout if call.timeout is None else call.timeout
        running.timers.append(loop.call_later(timeout, self._out_of_time, running, timeout))
        if call.heartbeat is not None:
            running.beat = loop.time()
            running.timers.append(loop.call_later(call.heartbeat, self._check_beat, running))

    async def _work(self, running: Running, may_begin: MayBegin | None) -> None:
        task = running.task
        try:
            if may_begin is not None:
                if not await may_begin():
                    self._settle(running, running.result(self.worker, kind="withdrawn", message="not ours to begin"))
                    return
                self._clock(running)
            context = running.context
            assert context is not None
            in_child = task.where == "process" and not self._inline  # which gives the input its type itself
            value = await read_input(running.call, task, self.blobs, typed=not in_child)
            if running.verdict is not None:
                raise asyncio.CancelledError
            if in_child:
                encoded = await self._in_child(running, value)
            else:
                if task.where == "here":
                    output = await (task.run(value, context) if task.wants_context else task.run(value))
                elif self._inline:
                    output = task.run(value, context) if task.wants_context else task.run(value)
                else:
                    call = partial(task.run, value, context) if task.wants_context else partial(task.run, value)
                    output = await self._threads.run(call)
                encoded = _encode(output)
            if task.output is not Any:
                check_output(encoded, task)
            result = await carried(encoded, self.blobs)
            self._settle(running, running.result(self.worker, output=result))
        except asyncio.CancelledError:
            kind, message = running.verdict or ("cancelled", "the task stopped by itself")
            self._settle(running, running.result(self.worker, kind=kind, message=message))
        except TaskError as error:
            self._settle(
                running, running.result(self.worker, kind=error.kind, message=str(error), data=plain(error.data))
            )
        except Lost as error:
            kind, message = running.verdict or ("lost", str(error))
            self._settle(running, running.result(self.worker, kind=kind, message=message), unsure=True)
        except Exception as error:
            log.info("task %s failed", task.id, exc_info=not isinstance(error, ThespisError))
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self._settle(
                running, running.result(self.worker, kind="error", message=text), unsure=isinstance(error, OSError)
            )

    def _worked(self, running: Running, work: asyncio.Task[None]) -> None:
        """The slot is free; here, because a task that is stopped before its first step never runs."""
        if work.cancelled():
            kind, message = running.verdict or ("cancelled", "stopped")
            self._settle(running, running.result(self.worker, kind=kind, message=message))
        running.lane.leave(running.task.id, running.task.at_once)

    async def _in_child(self, running: Running, value: Any) -> bytes:
        assert running.context is not None
        running.child = child = await self._processes.take()
        if running.verdict is not None:
            self._processes.give_back(child)
            raise asyncio.CancelledError
        try:
            return await child.call(running.task, value, running.context)
        finally:
            running.child = None
            self._processes.give_back(child)

    # -- end

    def _settle(self, running: Running, result: TaskResult, *, unsure: bool = False) -> None:
        """Its result is known. What a thread still returns later is discarded. `unsure`: what it did is not known."""
        running.stop_timers()
        if self._running.get(running.name) is running:
            del self._running[running.name]
        if running.done.done():
            return
        if running.verdict is not None and running.verdict[0] != "cancelled" and not result.kind:
            kind, message = running.verdict
            result = running.result(self.worker, kind=kind, message=message)
        unsure = unsure or result.kind == "timeout"
        if unsure and running.context is not None and running.task.effect_class == "irreversible":
            running.done.set_exception(OutcomeUnknown(result.message))
        else:
            running.done.set_result(result)

    def _end(self, running: Running, kind: str, message: str, grace: float) -> None:
        """Have it stop: it is asked at once, and not waited for longer than `grace` seconds."""
        if running.verdict is not None:
            return
        running.verdict = (kind, message)
        if running.work is None:
            if running.ticket is not None:
                running.ticket.left = True
            self._settle(running, running.result(self.worker, kind=kind, message=message))
            return
        running.stop_timers()
        if running.context is not None:
            running.context.cancelled = True
        if running.task.where == "here":
            running.work.cancel()
        elif running.child is not None:
            running.child.ask_to_stop()
        if grace > 0:
            running.timers.append(asyncio.get_running_loop().call_later(grace, self._abandon, running))
        else:
            self._abandon(running)

    def _abandon(self, running: Running) -> None:
        """It had its time to stop. A process is killed; a thread cannot be: its slot stays taken until it returns."""
        if running.child is not None:
            running.child.kill()
        kind, message = running.verdict or ("cancelled", "stopped")
        self._settle(running, running.result(self.worker, kind=kind, message=message), unsure=True)

    def _drop(self, running: Running) -> None:
        """Nobody waits for it any more."""
        running.done.cancel()
        self._end(running, "cancelled", "the host stops", 0.0)
        if running.work is not None and not running.work.done():
            self._loose.add(running.work)
            running.work.add_done_callback(self._loose.discard)

    # -- time

    def _not_begun(self, running: Running) -> None:
        self._end(running, "timeout", f"nobody began within {running.call.queued} s", 0.0)

    def _out_of_time(self, running: Running, timeout: float) -> None:
        self._end(running, "timeout", f"not done within {timeout:g} s", LAST_MOMENT if running.here else 0.0)

    def _check_beat(self, running: Running) -> None:
        allowed = running.call.heartbeat
        if running.done.done() or running.verdict is not None or allowed is None:
            return
        loop = asyncio.get_running_loop()
        due = running.beat + allowed
        if loop.time() < due - 0.001:
            running.timers.append(loop.call_at(due, self._check_beat, running))
            return
        self._end(running, "timeout", f"no sign of life for {allowed:g} s", LAST_MOMENT if running.here else 0.0)

    def _said(self, running: Running, loop: asyncio.AbstractEventLoop, what: str, data: Any) -> None:
        """A sign of life, from any thread."""
        running.beat = loop.time()
        if what == "progress" and self.show is not None:
            loop.call_soon_threadsafe(self.show, running.name[0], running.call, data)
