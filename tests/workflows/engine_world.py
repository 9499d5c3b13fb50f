"""A run in memory, with tasks that do as they are told, and a second opinion of what must come of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from actors import Plugin
from actors.approval import approval
from actors.core.kind import Attempt, EffectKind
from actors.limit import limit
from actors.workflows.messages import StartRun
from actors.workflows.plan import Graph, Plan, Step, TaskAction, encode_plan
from actors.workflows.run import run_kind
from actors.workflows.tasks import CANCEL, CancelCall, TaskCall, TaskResult, effect_kind
from events.errors import NotFound
from infra.cel import Cel
from infra.memory.system import System

CLASSES = ("pure", "idempotent", "keyed", "irreversible")

Answer = Callable[[TaskCall], "TaskResult | float | None"]
"""What a task answers; a number is seconds to take before it succeeds; None: it hangs until it is cancelled."""


class Tasks:
    """Performs tasks in memory. `calls` counts them by step and attempt; `order` is when each began."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.calls: Counter[tuple[str, str, int]] = Counter()
        self.order: list[str] = []
        self.at_once = 0
        self.most = 0
        self._running: dict[tuple[str, str], asyncio.Future[None]] = {}

    async def perform(self, call: TaskCall, attempt: Attempt) -> Any:
        """One call."""
        self.calls[call.run, call.step, call.attempt] += 1
        self.order.append(call.step)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        stopped = self._running[call.run, call.step] = asyncio.get_running_loop().create_future()
        try:
            answer = self._answer(call)
            if isinstance(answer, TaskResult):
                return msgspec.to_builtins(answer)
            done, _ = await asyncio.wait([stopped], timeout=answer)
            if done:
                return msgspec.to_builtins(TaskResult(kind="cancelled", message="stopped"))
            return msgspec.to_builtins(TaskResult(output=call.input))
        finally:
            self.at_once -= 1

    async def cancel(self, call: CancelCall, attempt: Attempt) -> None:
        """Stop a call."""
        running = self._running.get((call.run, call.step))
        if running is not None and not running.done():
            running.set_result(None)

    def plugin(self) -> Plugin:
        """Everything a run needs."""
        performed = [
            EffectKind(effect_kind(c), request=TaskCall, perform=self.perform, effect_class=c, concurrency=100_000,
                       timeout=1e6, attempts=1)
            for c in CLASSES
        ]  # fmt: skip
        stopping = EffectKind(CANCEL, request=CancelCall, perform=self.cancel, effect_class="idempotent")
        return Plugin(kinds=[run_kind(Cel()), approval, limit], effects=[*performed, stopping])


def task(name: str = "t@1", *, needs: tuple[str, ...] = (), **said: Any) -> Step:
    """A step that performs a task."""
    step_only = {k: v for k, v in said.items() if k in Step.__struct_fields__ and k != "name"}
    action = {k: v for k, v in said.items() if k not in step_only and k != "step"}
    return Step(said.get("step", name.partition("@")[0]), TaskAction(name, **action), needs=needs, **step_only)


def graph(*steps: Step, **said: Any) -> Graph:
    """A block, with `dependents` filled in from `needs`."""
    after = {s.name: tuple(o.name for o in steps if s.name in o.needs) for s in steps}
    return Graph(tuple(msgspec.structs.replace(s, dependents=after[s.name]) for s in steps), **said)


def plan(root: Graph, **said: Any) -> Plan:
    """A plan named by its content."""
    return Plan("test", 1, f"{hash(encode_plan(root)) & 0xFFFFFFFFFFFF:x}", root, **said)


async def start(system: System, made: Plan, inputs: Mapping[str, Any] | None = None, run: str = "1") -> None:
    """Start a run."""
    await system.ask(f"run/{run}", StartRun(msgspec.Raw(encode_plan(made)), dict(inputs or {})))


async def known(system: System, address: str) -> dict[str, Any]:
    """The state of an actor; that of a new one when nothing happened to it yet."""
    try:
        return await system.state(address)
    except NotFound:
        return {"status": "new", "nodes": {}}


async def finished(system: System, run: str = "1", seconds: float = 1e6) -> dict[str, Any]:
    """The state of a run once it has ended."""
    spent = 0.0
    pause = 1.0
    while True:
        state = await known(system, f"run/{run}")
        if state["status"] not in ("new", "running"):
            return state
        assert spent < seconds, (
            f"still running: { {p: n for p, n in state['nodes'].items() if n.get('status') not in ENDED} }"
        )
        await system.advance(pause)
        spent += pause
        pause = min(pause * 2, 3600)


ENDED = ("succeeded", "failed", "skipped", "cancelled")
