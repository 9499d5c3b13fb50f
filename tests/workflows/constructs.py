"""Short words for plans in tests, and one call that runs them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from actors.core.outputs import Outcome
from actors.workflows.plan import (
    Each,
    Graph,
    GroupAction,
    Loop,
    Plan,
    Policy,
    Step,
    TaskAction,
    ValueAction,
)
from actors.workflows.tasks import TaskCall, TaskResult
from infra.memory.system import System, run_system
from tests.workflows.engine_world import Tasks, finished, graph, plan, start

__all__ = ["Each", "Loop", "Outcome", "Policy", "Ran", "do", "fails", "group", "play", "run", "value"]


def do(name: str, *needs: str, input: Any = None, task: str = "t@1", **said: Any) -> Step:
    """A step that performs a task."""
    return Step(name, TaskAction(task, input), needs=needs, **said)


def value(name: str, given: Any, *needs: str, **said: Any) -> Step:
    """A step that is a value."""
    return Step(name, ValueAction(given), needs=needs, **said)


def group(name: str, *steps: Step, needs: tuple[str, ...] = (), output: Any = None, policy: str = "fail_fast",
          count: int = 0, **said: Any) -> Step:  # fmt: skip
    """A step of steps."""
    body = graph(*steps, output=output, policy=Policy(policy, count))
    return Step(name, GroupAction(body), needs=needs, **said)


def fails(kind: str = "error", message: str = "no") -> TaskResult:
    """What a task answers that fails."""
    return TaskResult(kind=kind, message=message)


class Ran:
    """What came of a run."""

    def __init__(self, state: dict[str, Any], tasks: Tasks, events: list[Any]) -> None:
        self.state = state
        self.tasks = tasks
        self.events = events
        self.status: str = state["status"]
        self.outputs: Any = state.get("outputs")
        self.error: dict[str, Any] = state.get("error") or {}

    def __getitem__(self, place: str) -> dict[str, Any]:
        return self.state["nodes"][place]

    def ends(self, *places: str) -> list[str]:
        """How steps ended."""
        return [self.state["nodes"].get(place, {}).get("status", "pending") for place in places]

    @property
    def called(self) -> list[str]:
        """The places whose tasks were called, in order."""
        return self.tasks.order


Script = Callable[[System, Tasks], Awaitable[None]]


def play(made: Plan, answer: Callable[[TaskCall], Any] = lambda _call: 0.0, inputs: Mapping[str, Any] | None = None,
         script: Script | None = None, snapshot_every: int = 7) -> Ran:  # fmt: skip
    """Run a plan to its end; `script` acts on it meanwhile."""
    tasks = Tasks(answer)

    async def main(system: System) -> Ran:
        await start(system, made, inputs)
        if script is not None:
            await script(system, tasks)
        state = await finished(system)
        return Ran(state, tasks, await system.events())

    return run_system(tasks.plugin(snapshot_every), main)


def run(*steps: Step, answer: Callable[[TaskCall], Any] = lambda _call: 0.0, inputs: Mapping[str, Any] | None = None,
        output: Any = None, policy: str = "fail_fast", count: int = 0, script: Script | None = None,
        snapshot_every: int = 7, **said: Any) -> Ran:  # fmt: skip
    """Run these steps."""
    root: Graph = graph(*steps, output=output, policy=Policy(policy, count))
    return play(plan(root, **said), answer, inputs, script, snapshot_every)
