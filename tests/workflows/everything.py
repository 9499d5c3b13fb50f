"""One run that uses every construct, in a world whose hosts can be struck; and what came of it, without what may
differ: attempts, hosts and times."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from actors import Plugin
from actors.approval import approval, approval_of
from actors.core.kind import Attempt, EffectKind
from actors.limit import limit
from actors.workflows.plan import (
    ApprovalAction,
    Case,
    Each,
    Graph,
    GroupAction,
    Loop,
    Plan,
    Policy,
    Retry,
    Step,
    SwitchAction,
    TaskAction,
    ValueAction,
    WaitAction,
    WorkflowAction,
    encode_plan,
)
from actors.workflows.run import run_kind
from actors.workflows.tasks import CANCEL, CancelCall, TaskCall, TaskResult, effect_kind
from actors.workflows.workflow import workflow
from events.envelope import Event
from gateway.demo import plan as demo
from infra.cel import Cel
from tests.acceptance.faults import Strike
from tests.acceptance.steps import run_stepped
from tests.acceptance.world import World
from tests.workflows.engine_world import graph

AGAIN = Retry(30, backoff=0.1, longest=0.5)


def task(name: str, *needs: str, input: Any = None, effect: str = "keyed", task: str = "t@1", **said: Any) -> Step:
    return Step(name, TaskAction(task, input, effect_class=effect), needs=needs, retry=AGAIN, **said)


def undo(effect: str = "keyed") -> TaskAction:
    return TaskAction("undo@1", "undone", effect_class=effect)


def failing(name: str, *needs: str, **said: Any) -> Step:
    return Step(name, TaskAction("fails@1"), needs=needs, **said)


def everything() -> Graph:
    """Every construct once."""
    n = "${ inputs.n }"
    race = GroupAction(
        graph(Step("never", TaskAction("hangs@1")), task("wins", input=1), policy=Policy("first_success"), output="won")
    )
    items = GroupAction(graph(task("one", input="${ x }"), task("two", "one", input="${ steps.one.output + 1 }"),
                              output="${ steps.two.output }"))  # fmt: skip
    return graph(
        task("pure", input=n, effect="pure"),
        task("idempotent", "pure", input="${ steps.pure.output }", effect="idempotent"),
        task("once", "pure", input="${ steps.pure.output }", effect="irreversible"),
        task("flaky", "once", task="flaky@1", input=5),
        Step("switch", SwitchAction((Case(("left",), "${ steps.once.output > 100 }"), Case(("right",)))),
             needs=("once",)),
        task("left", "switch"), task("right", "switch", effect="irreversible", input=3),
        task("join", "left", "right", trigger="one_success", input=4),
        Step("items", items, each=Each(("${ [1, 2, 3, 4] }",), name="x", concurrency=2, key="${ 'k' + string(x) }"),
             needs=("pure",)),
        Step("some", TaskAction("odd@1", "${ item }"), each=Each(("${ [1, 2, 3] }",), tolerate=2), needs=("pure",)),
        Step("loop", GroupAction(graph(task("turn", input="${ iteration.index }"), output="${ steps.turn.output }")),
             loop=Loop(5, until="${ output >= 2 }", pause=0.5)),
        Step("race", race),
        failing("caught", catch=graph(task("fix", input="${ error.kind }"), output="${ steps.fix.output }"),
                finally_=graph(task("last", input="${ outcome.status }"))),
        failing("optional", optional=True),
        Step("sleep", WaitAction(1.5)), Step("event", WaitAction(event="Go", match="event.data.n == 1")),
        Step("approval", ApprovalAction("everything"), needs=("event",)),
        Step("child", WorkflowAction("good", {"n": n}), needs=("sleep",)),
        Step("bad", WorkflowAction("bad", {}), catch=graph(task("after", input="${ error.message }"))),
        Step("aside", WorkflowAction("good", {"n": 50}, mode="detach")),
        Step("all", ValueAction("${ [steps.join.output, steps.items.output, steps.some.output, steps.loop.output, "
                                "steps.race.output, steps.caught.output, steps.child.output, "
                                "steps.approval.output.by] }"),
             needs=("join", "items", "some", "loop", "race", "caught", "child", "approval", "bad", "flaky",
                    "idempotent")),
        output="${ steps.all.output }",
    )  # fmt: skip


GOOD = graph(task("x", input="${ inputs.n }", effect="irreversible"), output="${ steps.x.output }")
BAD = graph(
    task("a", effect="irreversible", undo=undo("irreversible")),
    task("b", "a", undo=undo(), each=Each(("${ [1, 2] }",))), failing("c", "b"),
)  # fmt: skip


LATENCY = 0.01
"""Seconds, of virtual time, that a call takes on its way there and again on its way back."""


class Outside:
    """The world that tasks act upon. It counts what was done under each key, and refuses what it said never came."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.refused: set[tuple[str, str]] = set()
        self.stopped: set[tuple[str, str]] = set()

    async def perform(self, call: TaskCall, attempt: Attempt) -> Any:
        """One call."""
        await asyncio.sleep(LATENCY)
        if (attempt.effect, attempt.number) in self.refused:
            raise ConnectionError("refused")
        name = call.task.partition("@")[0]
        if name == "fails" or (name == "flaky" and call.attempt < 3) or (name == "odd" and call.input % 2):
            return msgspec.to_builtins(TaskResult(kind="error", message="no"))
        while name == "hangs":
            if (call.run, call.step) in self.stopped:
                return msgspec.to_builtins(TaskResult(kind="cancelled", message="stopped"))
            await asyncio.sleep(0.25)
        self.done[call.key] += 1
        await asyncio.sleep(LATENCY)
        return msgspec.to_builtins(TaskResult(output=call.input))

    async def reconcile(self, call: TaskCall, attempt: Attempt) -> Any:
        """What became of a call whose host is gone; what did not come by now is not let in any more."""
        if self.done[call.key]:
            return "succeeded", msgspec.to_builtins(TaskResult(output=call.input))
        self.refused.add((attempt.effect, attempt.number))
        return "failed", "it never came"

    async def cancel(self, call: CancelCall, attempt: Attempt) -> None:
        """Ask a call to stop."""
        self.stopped.add((call.run, call.step))

    def plugin(self) -> Plugin:
        """Everything a host needs."""
        performed = [
            EffectKind(effect_kind(c), request=TaskCall, perform=self.perform, effect_class=c, attempts=1, timeout=None,
                       reconcile=self.reconcile if c == "irreversible" else None)
            for c in ("pure", "idempotent", "keyed", "irreversible")
        ]  # fmt: skip
        stopping = EffectKind(CANCEL, request=CancelCall, perform=self.cancel, effect_class="idempotent")
        return Plugin(kinds=[run_kind(Cel()), workflow, approval, limit], effects=[*performed, stopping])


class Came(msgspec.Struct):
    """What came of it."""

    outputs: Any
    facts: Counter[str]
    done: Counter[str]
    calls: int
    steps: int


def _message(to: str, name: str, data: dict[str, Any], key: str) -> demo.Step:
    return demo.Step(to, name, data, key)


def _published(name: str, root: Graph) -> demo.Step:
    made = Plan(name, 1, name, root)
    return _message(
        f"workflow/{name}", "PublishWorkflow", {"plan": msgspec.json.decode(encode_plan(made))}, f"p-{name}"
    )


def play(*strikes: Strike, hosts: int = 1, patience: float = 600.0) -> Came:
    """Run it all under these strikes."""
    outside = Outside()
    world = World(outside.plugin(), strikes, 1, hosts=hosts)

    async def seen(type: str, text: bytes) -> None:
        while not any(e.type == type and text in e.data for e in await world.log.read(0, 1 << 62)):
            await asyncio.sleep(0.2)

    async def main() -> Came:
        try:
            async with asyncio.timeout(patience):
                await world.start()
                for name, root in (("good", GOOD), ("bad", BAD), ("all", everything())):
                    await world.ask(_published(name, root))
                await world.ask(_message("workflow/all", "StartWorkflow", {"run": "1", "inputs": {"n": 7}}, "start"))
                await seen("StepWaiting", b'"step":"event"')
                await world.ask(_message("run/1", "Signal", {"type": "Go", "data": {"n": 2}}, "signal-2"))
                await world.ask(_message("run/1", "Signal", {"type": "Go", "data": {"n": 1}}, "signal-1"))
                await seen("ApprovalRequested", b"everything")
                approving = {"by": "user:test"}
                await world.ask(_message(approval_of("run/1", "approval"), "Approve", approving, "approve"))
                ends = 0
                while ends < 4:
                    await asyncio.sleep(0.2)
                    events = await world.log.read(0, 1 << 62)
                    ends = sum(e.type == "RunFinished" for e in events)
                while await world.log.effects(range(64), "", 10) or await world.log.timers(range(64), 1 << 62, 10):
                    await asyncio.sleep(0.2)
            return _came(await world.log.read(0, 1 << 62), outside, world)
        finally:
            await world.stop()

    return run_stepped(main())


DIFFERS = ("at", "until", "attempt", "started", "worker", "since", "by", "version")
PASSING = ("StepQueued", "StepRetrying", "StepUnknown", "LateResult", "StepCancelling")


def _came(events: list[Any], outside: Outside, world: World) -> Came:
    outputs, facts = facts_of(events, "run/1")
    return Came(outputs, facts, outside.done, world.calls, world.steps)


def facts_of(events: Iterable[Event], run: str) -> tuple[Any, Counter[str]]:
    """The outputs of a run, and what there is to say of it and its children however often somebody was lost."""
    facts: Counter[str] = Counter()
    outputs: Any = None
    for event in events:
        if not event.stream.startswith("run/") or event.type in PASSING or event.type not in KNOWN:
            continue
        data = msgspec.json.decode(event.data)
        if event.type == "RunFinished" and event.stream == run:
            outputs = data.get("outputs")
        kept = {k: v for k, v in data.items() if k not in DIFFERS}
        facts[f"{event.stream} {event.type} {msgspec.json.encode(kept, order='deterministic').decode()}"] += 1
    return outputs, facts


ONCE = ("/once", "/right", "/x", "/a", "/a!undo")
"""Ends of the keys of what cannot be repeated."""

KNOWN = {
    "RunStarted", "RunFinished", "RunClosing", "StepWaiting", "StepSucceeded", "StepFailed", "StepSkipped",
    "StepCancelled", "BranchTaken", "ScopeOpened", "ScopeClosing", "MapExpanded", "LoopStarted", "ChildEnded",
}  # fmt: skip
