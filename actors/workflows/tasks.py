"""Tasks: what a step performs. A task is a typed, versioned function; the engine knows it by name, the host by code."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, cast

import msgspec

from actors.core.kind import EFFECT_CLASSES
from events.errors import BadDefinition, UnknownType


class Task:
    """A task that steps can name.

    `run(input)` or `run(input, context)` is a function, async or not, of a `msgspec.Struct` (or any JSON value) that
    returns a JSON-ready result. `effect_class` says what may be repeated, as for effects. `where` is `here` (on the
    event loop; for async functions), `thread` (sync functions), or `process` (CPU-bound: in a pool of processes; the
    function must be importable). `timeout` is in seconds for one attempt, `at_once` bounds how many run on one host or
    worker. `provides` names capabilities a step may ask for instead of a name.
    """

    def __init__(
        self,
        name: str,
        run: Callable[..., Any],
        *,
        version: int = 1,
        input: Any = Any,
        output: Any = Any,
        effect_class: str = "idempotent",
        where: str | None = None,
        timeout: float = 60.0,
        at_once: int | None = None,
        provides: Iterable[str] = (),
        description: str = "",
        reconcile: Callable[..., Any] | None = None,
        volatile: bool = False,
    ) -> None:
        if effect_class not in EFFECT_CLASSES:
            raise BadDefinition(f"task {name}: {effect_class!r} is not an effect class", hint=", ".join(EFFECT_CLASSES))
        if where is None:
            where = "here" if inspect.iscoroutinefunction(run) else "thread"
        if where not in ("here", "thread", "process") or (where == "here") != inspect.iscoroutinefunction(run):
            raise BadDefinition(
                f"task {name}: where={where!r} does not fit",
                hint="async functions run here; others in a thread or a process",
            )
        self.name = name
        self.version = version
        self.run = run
        self.input = input
        self.output = output
        self.effect_class = effect_class
        self.where = where
        self.timeout = timeout
        self.at_once = at_once
        self.provides = frozenset(provides)
        self.description = description or inspect.getdoc(run) or ""
        self.reconcile = reconcile
        self.volatile = volatile
        self.wants_context = len(inspect.signature(run).parameters) > 1
        self.code = _code_of(run, version)

    @property
    def id(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    def input_schema(self) -> dict[str, Any]:
        """JSON Schema of the input."""
        return {} if self.input is Any else msgspec.json.schema(self.input)

    def output_schema(self) -> dict[str, Any]:
        """JSON Schema of the result."""
        return {} if self.output is Any else msgspec.json.schema(self.output)


def _code_of(run: Callable[..., Any], version: int) -> str:
    """A hash that changes when the source of the task's module does."""
    try:
        source = inspect.getsource(inspect.getmodule(run) or cast("Any", run))
    except (OSError, TypeError):
        source = repr(getattr(run, "__code__", run))
    return sha256(f"{version}\n{source}".encode()).hexdigest()[:16]


class Catalogue:
    """The tasks known here, by name, version and capability."""

    def __init__(self, tasks: Iterable[Task] = ()) -> None:
        self._tasks: dict[str, dict[int, Task]] = {}
        for task in tasks:
            versions = self._tasks.setdefault(task.name, {})
            if task.version in versions:
                raise BadDefinition(f"there is a task {task.id} already", hint="give one of them another version")
            versions[task.version] = task

    def find(self, name: str) -> Task:
        """`name` (its newest version), `name@version`, or `+capability` (the first by name). Raises UnknownType."""
        if name.startswith("+"):
            for versions in (self._tasks[n] for n in sorted(self._tasks)):
                task = versions[max(versions)]
                if name[1:] in task.provides:
                    return task
        else:
            base, at, version = name.partition("@")
            versions = self._tasks.get(base, {})
            if not at and versions:
                return versions[max(versions)]
            if version.isdigit() and int(version) in versions:
                return versions[int(version)]
        raise UnknownType(f"no task {name!r} here", hint=f"known tasks: {', '.join(self.names()) or 'none'}")

    def names(self) -> list[str]:
        """`name@version` of every task."""
        return [task.id for name in sorted(self._tasks) for task in self._tasks[name].values()]

    def __iter__(self) -> Any:
        for name in sorted(self._tasks):
            yield from self._tasks[name].values()


class TaskCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an effect asks a performer to do. Times in seconds; `key` is the same for every attempt of a step."""

    task: str
    run: str
    step: str
    attempt: int
    key: str
    input: Any = None
    queue: str = ""
    labels: Mapping[str, str] = {}
    priority: int = 5
    timeout: float | None = None
    queued: float | None = None
    heartbeat: float | None = None
    variables_of: str = ""
    """The run whose context variables count; "": `run`."""
    requesters: list[str] = []
    """Everybody in whose name the run goes, from the person to the last agent."""
    cause: str = ""
    """What started the run: the correlation of what the task asks others for."""


class TaskResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a performer returns: a call that came back, whether the task succeeded or not.

    A call nobody knows the outcome of is no result: the performer raises, and an irreversible one becomes `unknown`.
    `kind` names the error: error, invalid, timeout, lost, cancelled, or what the task itself called it.
    """

    output: Any = None
    kind: str = ""
    message: str = ""
    data: Any = None
    started: int = 0
    worker: str = ""
    usage: dict[str, str] = {}


class CancelCall(msgspec.Struct, frozen=True):
    """Ask whoever performs a step to stop; `grace` seconds later it is stopped."""

    run: str
    step: str
    attempt: int
    grace: float


def effect_kind(effect_class: str) -> str:
    """The effect kind that performs tasks of a class."""
    return f"task-{effect_class}"


CANCEL = "task-cancel"


class TaskError(Exception):
    """A task failed, in its own words: `kind` is what retry rules look at."""

    def __init__(self, message: str, *, kind: str = "error", data: Any = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.data = data
