"""A run in memory, with tasks that do as they are told, and a second opinion of what must come of it."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from actors import Plugin
from actors.approval import approval
from actors.asset import asset
from actors.core.kind import Attempt, EffectKind, Kind, encode_state
from actors.limit import limit
from actors.workflows import fold
from actors.workflows import run as runs
from actors.workflows.engine.acts import ACTS
from actors.workflows.engine.turn import Engine
from actors.workflows.messages import StartRun
from actors.workflows.plan import Graph, Plan, Step, TaskAction, encode_plan
from actors.workflows.run import MESSAGES
from actors.workflows.soundness import problems
from actors.workflows.state import Run
from actors.workflows.tasks import CANCEL, CancelCall, TaskCall, TaskResult, effect_kind
from actors.workflows.workflow import workflow
from events.envelope import Message
from events.errors import NotFound
from events.workflows import RUN_EVENTS
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
        self.deaf = False
        """Whether tasks ignore that they should stop."""
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
        if running is not None and not running.done() and not self.deaf:
            running.set_result(None)

    def plugin(self, snapshot_every: int = 7) -> Plugin:
        """Everything a run needs."""
        performed = [
            EffectKind(effect_kind(c), request=TaskCall, perform=self.perform, effect_class=c, concurrency=100_000,
                       timeout=1e6, attempts=1)
            for c in CLASSES
        ]  # fmt: skip
        stopping = EffectKind(CANCEL, request=CancelCall, perform=self.cancel, effect_class="idempotent")
        kinds = [checked_run(snapshot_every), approval, limit, workflow, asset]
        return Plugin(kinds=kinds, effects=[*performed, stopping])


def checked_run(snapshot_every: int = 7) -> Kind:
    """The kind `run`, looked at before every message: it must be sound, be what the last decision tried, fold from its
    events to the same, and be the same after it was written and read."""
    plain = runs.run_kind(Cel())
    engine = Engine(Cel(), ACTS)
    tried: dict[str, deque[bytes]] = {}
    folded: dict[str, Run] = {}

    seen: Counter[str] = Counter()
    wrong: list[str] = []

    def look(address: str, run: Run) -> None:
        assert not problems(run), f"{address}: {problems(run)}"
        known = tried.get(address)
        if known is not None and run.status != "new":
            now = encode_state(run)
            if now != known[-1]:  # a decision that was not written is made again, on what was there before
                assert now in known, f"{address} is not what was tried: {_difference(known[-1], now)}"
                folded[address] = plain.decode_state(now)
            assert encode_state(folded[address]) == now, f"{address} folds to something else"
            assert encode_state(plain.decode_state(now)) == now

    def decide(run: Run, message: Message) -> list[Any]:
        try:
            return looked_at(run, message)
        except AssertionError as error:
            wrong.append(str(error))
            raise

    def looked_at(run: Run, message: Message) -> list[Any]:
        assert not wrong, wrong[0]
        seen[message.to] += 1
        # To look costs as much as the run is large: at large ones not every time.
        if (near := seen[message.to] % 200) == 0 or len(run.nodes) < 100:
            look(message.to, run)
        turn = runs.decided(engine, run, message)
        if near == 199 or len(turn.events) + len(run.nodes) < 100:
            tried.setdefault(message.to, deque(maxlen=50)).append(encode_state(flat(turn.run)))
        else:
            tried.pop(message.to, None)
        if run.status == "new":
            folded[message.to] = Run()
        elif message.to not in folded:
            folded[message.to] = plain.decode_state(encode_state(run))
        again = folded[message.to]
        for event in turn.events:
            again = fold.evolve(
                again, msgspec.json.decode(msgspec.json.encode(event), type=cast("type[Any]", event.__class__))
            )
        if near == 0 or len(again.nodes) < 100 or again.status != "running":
            assert not problems(again), f"{message.to} after {message.type}: {problems(again)}"
        return list(plain.decide(run, message) or ())

    return Kind(
        "run", state=Run, decide=decide, evolve=plain.evolve, messages=MESSAGES, events=RUN_EVENTS,
        snapshot_every=snapshot_every, follows=plain.follows,
        idle=0.5,
    )  # fmt: skip


def flat(run: Run) -> Run:
    """A scratch copy without its layers."""
    layers = ("nodes", "scopes", "backlog", "undos")
    return msgspec.structs.replace(run, **{name: dict(getattr(run, name)) for name in layers})


def _difference(a: bytes, b: bytes) -> str:
    one, two = msgspec.json.decode(a), msgspec.json.decode(b)
    return str({k: (one.get(k), two.get(k)) for k in {*one, *two} if one.get(k) != two.get(k)})


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


async def finished(system: System, run: str = "1", seconds: float = 5e4) -> dict[str, Any]:
    """The state of a run once it has ended."""
    spent = 0.0
    pause = 1.0
    while True:
        state = await known(system, f"run/{run}")
        if state["status"] not in ("new", "running"):
            return state
        parked = [e.data for e in await system.events() if e.type == "ActorParked"] if pause > 4 else []
        assert not parked, parked
        assert spent < seconds, (
            f"still running: { {p: n for p, n in state['nodes'].items() if n.get('status') not in ENDED} }"
        )
        await system.advance(pause)
        spent += pause
        pause = min(pause * 2, 3600)


ENDED = ("succeeded", "failed", "skipped", "cancelled")
