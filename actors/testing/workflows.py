"""What tasks answer in a test of a workflow: results, failures, latencies, hangs. `infra.memory.workflows` runs it.

mocks = Mocks(
    tasks={"files.list": ["a.md", "b.md"], "files.measure": lambda path: {"path": path, "words": 3}},
    steps={"publish": InTurn(Fails("busy", kind="unavailable"), Takes(30, "done"))},
)

An answer is a JSON value (the result), a function of the input (or of the input and the `TaskCall`), a `Task` (it is
performed), or one of the classes here. A step is named as in the plan (`files`, `group/a`, `a!undo`) or by its place in
the run (`files[3]`); a task by `name` or `name@version`. The most exact name counts. Every mock must be used, and every
call needs one: `check()` says which were not, and which did not have one.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping
from difflib import get_close_matches
from typing import Any, cast

import msgspec

from actors.core.kind import EFFECT_CLASSES, Attempt, EffectKind
from actors.workflows.places import in_plan
from actors.workflows.tasks import CANCEL, CancelCall, Task, TaskCall, TaskError, TaskResult, effect_kind


class Returns(msgspec.Struct, frozen=True):
    """The result, with what it cost."""

    output: Any = None
    usage: dict[str, str] = {}


class Fails(msgspec.Struct, frozen=True):
    """The task fails. `kind` is what retry rules and `catch` look at."""

    message: str = "failed"
    kind: str = "error"
    data: Any = None


class Takes(msgspec.Struct, frozen=True):
    """`seconds` later: that answer."""

    seconds: float
    answer: Any = None


class Hangs(msgspec.Struct, frozen=True):
    """Never ends by itself: by a timeout of the step, or by being cancelled."""


class Unknown(msgspec.Struct, frozen=True):
    """Nobody knows what became of the call; an irreversible step is `unknown` from then on."""

    message: str = "the connection was lost"


class InTurn:
    """One answer after the other, for each further attempt, item or iteration. Parallel items come in no sure order."""

    def __init__(self, *answers: Any) -> None:
        self.answers = answers


class Call(msgspec.Struct, frozen=True):
    """A call that was made, `at` seconds of virtual time."""

    run: str
    step: str
    task: str
    attempt: int
    input: Any
    at: float

    @property
    def names(self) -> tuple[str, ...]:
        """By which it may be mocked: its place, its step in the plan, its task with and without version."""
        return self.step, in_plan(self.step), self.task, self.task.partition("@")[0]


class Mocks:
    """Performs the tasks of a workflow. `calls` are all that were made, in order; `faults` what was not as it must be.

    A run is given a `fresh` copy, so one object serves many tests. `known` are tasks whose input and output types the
    mocks must keep to.
    """

    def __init__(self, steps: Mapping[str, Any] | None = None, tasks: Mapping[str, Any] | None = None) -> None:
        self.steps = dict(steps or {})
        self.tasks = dict(tasks or {})
        self.known: dict[str, Task] = {}
        self.calls: list[Call] = []
        self.faults: list[str] = []
        self.context: Callable[[TaskCall], Any] | None = None
        """Makes what a `Task` that wants a context is given."""
        self.results: dict[str, tuple[str, str, Any]] = {}
        """(run, step, result or error) by effect: a call that was made twice because a host was lost is one."""
        self._used: set[tuple[str, str]] = set()
        self._answers: dict[str, Any] = {}
        self._turns: dict[int, int] = {}
        self._stopped: dict[tuple[str, str, int], asyncio.Future[None]] = {}
        self._hanging: set[str] = set()

    def fresh(self) -> Mocks:
        """The same answers, with nothing asked yet."""
        other = Mocks(self.steps, self.tasks)
        other.known, other.context = self.known, self.context
        return other

    def check(self) -> None:
        """Raises AssertionError naming every mock that was not used and every call that had none."""
        faults = list(self.faults)
        performed = sorted({name for call in self.calls for name in call.names})
        for what, names in (("step", self.steps), ("task", self.tasks)):
            for name in names:
                if (what, name) not in self._used:
                    near = get_close_matches(name, performed, 1)
                    hint = f"; did you mean {near[0]!r}?" if near else ""
                    faults.append(f"the mock of {what} {name!r} was not used{hint}")
        if faults:
            called = ", ".join(performed) or "none"
            raise AssertionError("\n".join([*dict.fromkeys(faults), f"called were: {called}"]))

    def effects(self) -> list[EffectKind]:
        """What performs the tasks of each class, and what stops them."""
        kinds = [
            EffectKind(
                effect_kind(c), request=TaskCall, perform=self.perform, effect_class=c, attempts=1, timeout=None,
                concurrency=1_000_000, reconcile=self.reconcile if c == "irreversible" else None,
            )
            for c in EFFECT_CLASSES
        ]  # fmt: skip
        return [*kinds, EffectKind(CANCEL, request=CancelCall, perform=self.cancel, effect_class="idempotent")]

    async def perform(self, call: TaskCall, attempt: Attempt) -> Any:
        """One call, as the executor of a host makes it."""
        now = asyncio.get_running_loop().time()
        self.calls.append(Call(call.run, call.step, call.task, call.attempt, call.input, now))
        return await self._result(call, attempt.effect)

    async def reconcile(self, call: TaskCall, attempt: Attempt) -> tuple[str, Any] | None:
        """What became of an irreversible call whose host was lost: the outside service has done it, once."""
        return "succeeded", await self._result(call, attempt.effect)

    async def cancel(self, call: CancelCall, _attempt: Attempt) -> None:
        """Stop a call."""
        stopped = self._stopped.get((call.run, call.step, call.attempt))
        if stopped is not None and not stopped.done():
            stopped.set_result(None)

    @property
    def busy(self) -> bool:
        """Whether a call is under way that will end by itself."""
        return len(self._stopped) > len(self._hanging)

    # -- what it answers

    async def _result(self, call: TaskCall, effect: str) -> Any:
        result = await self._within(call, effect, self._answered(call, effect))
        self.results[effect] = (call.run, call.step, {"error": result.kind} if result.kind else result.output)
        return msgspec.to_builtins(result)

    async def _within(self, call: TaskCall, effect: str, answer: Coroutine[Any, Any, TaskResult]) -> TaskResult:
        """The answer, unless the call is stopped or out of time before."""
        name = (call.run, call.step, call.attempt)
        stopped = self._stopped[name] = asyncio.get_running_loop().create_future()
        work = asyncio.ensure_future(answer)
        limit = self._limit(call)
        try:
            done, _ = await asyncio.wait([work, stopped], timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if work in done:
                return work.result()
            if stopped in done:
                return TaskResult(kind="cancelled", message="stopped")
            return TaskResult(kind="timeout", message=f"not done within {limit:g} s")
        finally:
            work.cancel()
            self._stopped.pop(name, None)
            self._hanging.discard(effect)

    def _limit(self, call: TaskCall) -> float | None:
        task = self.known.get(call.task)
        return call.timeout if call.timeout is not None else task.timeout if task is not None else None

    async def _answered(self, call: TaskCall, effect: str) -> TaskResult:
        answer = self._answers.get(effect, _NONE)
        if answer is _NONE:
            answer = self._answers[effect] = self._chosen(call)
        while isinstance(answer, Takes):
            await asyncio.sleep(answer.seconds)
            answer = self._asked(answer.answer, call)
        if isinstance(answer, Hangs):
            if call.heartbeat is None:
                if self._limit(call) is None:
                    self._hanging.add(effect)
                await asyncio.get_running_loop().create_future()
            await asyncio.sleep(call.heartbeat or 0.0)
            return TaskResult(kind="timeout", message=f"no sign of life for {call.heartbeat:g} s")
        if isinstance(answer, Unknown):
            raise OSError(answer.message)
        if isinstance(answer, Task):
            answer = await self._real(answer, call)
        if isinstance(answer, Fails):
            return TaskResult(None, answer.kind, answer.message, answer.data)
        usage = answer.usage if isinstance(answer, Returns) else {}
        return TaskResult(self._fitting(call, answer.output if isinstance(answer, Returns) else answer), usage=usage)

    def _chosen(self, call: TaskCall) -> Any:
        at = in_plan(call.step)
        base = call.task.partition("@")[0]
        for what, names, mocked in (
            ("step", (call.step, at), self.steps), ("task", (call.task, base), self.tasks),
        ):  # fmt: skip
            for name in names:
                if name in mocked:
                    self._used.add((what, name))
                    return self._asked(mocked[name], call)
        return self._fault(
            f"step {call.step!r} called the task {call.task!r} with {call.input!r}: there is no mock for it"
        )

    def _asked(self, answer: Any, call: TaskCall) -> Any:
        """What an answer is this time: the turn of a sequence, the value of a function."""
        if isinstance(answer, InTurn):
            turn = self._turns[id(answer)] = self._turns.get(id(answer), 0) + 1
            if turn > len(answer.answers):
                return self._fault(
                    f"the mock of step {call.step!r} has {len(answer.answers)} answers, this is call {turn}"
                )
            return self._asked(answer.answers[turn - 1], call)
        if inspect.isroutine(answer):
            function = cast("Callable[..., Any]", answer)
            try:
                return self._asked(function(call.input, call) if _wants_call(function) else function(call.input), call)
            except TaskError as error:
                return Fails(str(error), error.kind, error.data)
            except Exception as error:
                return self._fault(f"the mock of step {call.step!r} raised {type(error).__name__}: {error}")
        return answer

    async def _real(self, task: Task, call: TaskCall) -> Any:
        """Perform a task here and now."""
        if task.wants_context and self.context is None:
            return self._fault(f"task {task.id} wants a context: it can be mocked here, not performed")
        try:
            value = call.input if task.input is Any else msgspec.convert(call.input, task.input)
            result = task.run(value, self.context(call)) if task.wants_context and self.context else task.run(value)
            if inspect.isawaitable(result):
                result = await result
            return msgspec.to_builtins(result)
        except msgspec.ValidationError as error:
            return Fails(f"the input of {task.id}: {error}", "invalid")
        except TaskError as error:
            return Fails(str(error), error.kind, error.data)
        except Exception as error:
            return Fails(f"{type(error).__name__}: {error}")

    def _fitting(self, call: TaskCall, output: Any) -> Any:
        """The result as JSON; one that a known task could not have returned is a fault."""
        try:
            plain = msgspec.to_builtins(output)
            task = self.known.get(call.task)
            if task is not None and task.output is not Any:
                msgspec.convert(plain, task.output)
        except (TypeError, msgspec.ValidationError) as error:
            self._fault(f"the mock of step {call.step!r} returned what the task {call.task} cannot return: {error}")
            return None
        return plain

    def _fault(self, text: str) -> Fails:
        self.faults.append(text)
        return Fails(text, "mock")


def _wants_call(function: Callable[..., Any]) -> bool:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # built in
        return False
    return len(parameters) > 1 and parameters[1].default is inspect.Parameter.empty


_NONE: Any = object()
