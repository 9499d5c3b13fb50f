"""Workflows in memory, on virtual time: run a definition against mocked tasks, and lose the host wherever one can.

done = run_workflow(Path("digest.workflow.yaml"), Mocks(tasks={…}), inputs={"folder": "docs"})
assert done.succeeded().outputs == {"files": 2}

async def script(flow):
    await flow.until("review", "waiting")
    await flow.approve("review")

every_boundary(Path("digest.workflow.yaml"), Mocks(tasks={…}), script=script)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from actors.approval import Approve, Deny, approval_of
from actors.testing.clock import run_virtual
from actors.testing.workflows import Call, Mocks
from actors.workflows.messages import CancelRun, PauseRun, RetryRun, Signal, StartWorkflow, UnpauseRun
from actors.workflows.plan import Plan, encode_plan
from actors.workflows.state import ENDED
from actors.workflows.tasks import Catalogue, Task, TaskCall
from actors.workflows.workflow import PublishWorkflow
from events.address import DEFAULT_TENANT
from events.envelope import Event
from infra.cel import Cel
from infra.memory.stage import Stage
from infra.tasks.context import Context

Definition = Path | str | Plan
"""A file, the text of a definition, or a plan."""

PATIENCE: Final = 30 * 86_400.0
"""Seconds of virtual time after which a run is given up."""


def planned(definition: Definition, tasks: Iterable[Task] = ()) -> Plan:
    """The plan of a definition; without `tasks` any name of a task will do. Raises DefinitionInvalid, OSError."""
    if isinstance(definition, Plan):
        if definition.hash:
            return definition
        return msgspec.structs.replace(definition, hash=blake2b(encode_plan(definition), digest_size=16).hexdigest())
    name, text = ("workflow.yaml", definition) if isinstance(definition, str) else (
        str(definition), definition.read_text("utf-8"),
    )  # fmt: skip
    from actors.workflows.definition import compile_workflow, read  # pydantic and YAML, for those who write text

    known = list(tasks)
    return compile_workflow(read(text, name), Cel(), Catalogue(known) if known else None).plan


class StepEnd(msgspec.Struct, frozen=True):
    """How a step stands. `error` is {kind, message, data?}."""

    status: str
    output: Any = None
    error: dict[str, Any] | None = None
    attempts: int = 0
    reason: str = ""


class Done(msgspec.Struct, frozen=True):
    """A run that ended. `steps` by place, `calls` of it and the runs it started, `seconds` of virtual time, the log."""

    status: str
    outputs: Any
    error: dict[str, Any] | None
    steps: dict[str, StepEnd]
    calls: list[Call]
    events: list[Event]
    seconds: float
    usage: dict[str, str]
    state: dict[str, Any]
    """The state of the run, JSON-ready."""
    facts: dict[str, Any]
    """All that must be the same however often a host was lost."""

    def succeeded(self) -> Done:
        """Itself, if the run succeeded. Raises AssertionError that shows the steps."""
        return self._as("succeeded")

    def failed(self, kind: str | None = None) -> Done:
        """Itself, if the run failed (with an error of that kind). Raises AssertionError that shows the steps."""
        done = self._as("failed")
        if kind is not None and (done.error or {}).get("kind") != kind:
            raise AssertionError(
                f"the run failed with {done.error}, not with an error of kind {kind!r}\n{self.story()}"
            )
        return done

    def cancelled(self) -> Done:
        """Itself, if the run was cancelled. Raises AssertionError that shows the steps."""
        return self._as("cancelled")

    def count(self, name: str) -> int:
        """Calls of a step (by its name in the plan or its place) or of a task."""
        return sum(name in call.names for call in self.calls)

    def story(self) -> str:
        """The steps, one a line."""
        return story(self.steps)

    def _as(self, status: str) -> Done:
        if self.status != status:
            why = f": {self.error}" if self.error else ""
            raise AssertionError(f"the run {self.status}, it should have {status}{why}\n{self.story()}")
        return self


def story(steps: Mapping[str, StepEnd]) -> str:
    """Steps, one a line."""
    lines: list[str] = []
    for place, step in steps.items():
        what = step.error["message"] if step.error else step.reason if step.status not in ENDED else repr(step.output)
        tries = f" ({step.attempts} attempts)" if step.attempts > 1 else ""
        lines.append(f"  {step.status:<10} {place}{tries}: {what[:200]}")
    return "\n".join(lines) or "  no step has begun"


class Flow:
    """A run under test, for scripts: wait until it has come somewhere, answer approvals, send events, lose the host."""

    def __init__(self, system: Stage, mocks: Mocks, workflow: str, run: str = "1") -> None:
        self.system = system
        self.mocks = mocks
        self.workflow = workflow
        self.run = run

    @property
    def address(self) -> str:
        """Of the run."""
        return f"run/{self.run}"

    async def steps(self) -> dict[str, StepEnd]:
        """How the steps stand, by place."""
        return _steps(await self.system.state(self.address))

    async def until(self, step: str, *statuses: str, seconds: float = PATIENCE) -> StepEnd:
        """Let time pass until the step has one of the statuses (any end when none is named).

        Raises AssertionError when the run ends before, or when nothing will happen any more.
        """
        wanted = statuses or tuple(ENDED)
        deadline = self.system.seconds + seconds
        while True:
            seen = self.system.written
            state = await self.system.state(self.address)
            steps = _steps(state)
            if step in steps and steps[step].status in wanted:
                return steps[step]
            where = f"step {step!r} to be {' or '.join(wanted)}"
            if (status := state.get("status", "new")) not in ("new", "running"):
                raise AssertionError(f"the run {status} while waiting for {where}\n{story(steps)}")
            if not await self.system.more(seen, deadline):
                raise AssertionError(f"waited in vain for {where}\n{story(steps)}")

    async def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        await self.system.advance(seconds)

    async def approve(self, step: str, by: str = "ada", note: str = "") -> Any:
        """Agree to what a step asks for. Raises Refused."""
        return await self.system.insist(approval_of(self.address, step), Approve(by, note=note), f"user:{by}")

    async def deny(self, step: str, by: str = "ada", note: str = "") -> Any:
        """Disagree with what a step asks for. Raises Refused."""
        return await self.system.insist(approval_of(self.address, step), Deny(by, note), f"user:{by}")

    async def send(self, type: str, data: Any = None, id: str = "") -> int:
        """An event for steps that wait for one; returns how many it matched."""
        return (await self.system.insist(self.address, Signal(type, data, id)))["matched"]

    async def cancel(self, reason: str = "") -> None:
        """Cancel the run."""
        await self.system.insist(self.address, CancelRun(reason, "user:test"))

    async def pause(self) -> None:
        """Let no further step begin."""
        await self.system.insist(self.address, PauseRun("user:test"))

    async def resume(self) -> None:
        """Go on after a pause."""
        await self.system.insist(self.address, UnpauseRun("user:test"))

    async def retry(self, *steps: str) -> None:
        """Try what failed again, or the steps named."""
        await self.system.insist(self.address, RetryRun("user:test", list(steps)))

    async def resolve(self, step: str, output: Any = None, *, error: str = "") -> None:
        """Settle a step that is `unknown`, by a person's word: what the task returned, or that it failed."""
        await self.system.resolve(self.address, step, output, error)

    async def lose_host(self) -> None:
        """The host is gone without a word, and another one takes over."""
        await self.system.replace_host()

    async def another(self, inputs: Mapping[str, Any] | None = None) -> Flow:
        """Start another run of the same workflow on the same system, which knows what was kept of this one."""
        self.system.runs += 1
        flow = Flow(self.system, self.mocks, self.workflow, str(self.system.runs))
        await self.system.insist(f"workflow/{self.workflow}", StartWorkflow(flow.run, dict(inputs or {})))
        return flow

    async def done(self) -> Done:
        """What came of the run so far: its own calls, the log of everything."""
        return await _done(self.system, self.mocks, self.address)

    async def end(self, seconds: float = PATIENCE) -> str:
        """Let time pass until the run has ended; returns how. Raises AssertionError when it never will."""
        deadline = self.system.seconds + seconds
        while self.address not in self.system.finished:
            seen = self.system.written
            if not await self.system.more(seen, deadline):
                state = await self.system.state(self.address)
                raise AssertionError(f"the run does not end; its steps:\n{story(_steps(state))}")
        return (await self.system.state(self.address))["status"]


Script = Callable[[Flow], Awaitable[None]]
"""What happens to a run while it goes on; afterwards its end is waited for. It may be run many times."""


def run_workflow(
    definition: Definition,
    mocks: Mocks | None = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    script: Script | None = None,
    tasks: Sequence[Task] = (),
    workflows: Sequence[Definition] = (),
    seed: int = 0,
) -> Done:
    """Run a definition in memory until it ends. `workflows` are others that it runs, `tasks` those it may name.

    With `tasks`, the definition is checked against them, and mocks against their types. Raises DefinitionInvalid,
    Refused (bad inputs), and AssertionError for a mock that was not used, a call without one, a run that never ends.
    """
    mocks = Mocks() if mocks is None else mocks.fresh()
    plans = [planned(one, tasks) for one in (definition, *workflows)]
    done, _ = run_virtual(_play(plans, mocks, dict(inputs or {}), script, tasks, seed, None))
    return done


def every_boundary(
    definition: Definition,
    mocks: Mocks | None = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    script: Script | None = None,
    tasks: Sequence[Task] = (),
    workflows: Sequence[Definition] = (),
    seed: int = 0,
    only: Callable[[int], bool] = lambda _boundary: True,
) -> int:
    """Run a definition once undisturbed, then again for every write to the log, with the host lost just before it, and
    just after it. Outputs, steps, approvals and what the tasks did must be equal each time. Returns how many losses.

    `only` picks among the boundaries (positions in the log). Raises AssertionError that says where the host was lost
    and what differs. Mocked functions must answer equal calls equally.
    """
    mocks = Mocks() if mocks is None else mocks
    plans = [planned(one, tasks) for one in (definition, *workflows)]
    play = partial(_play, plans, inputs=dict(inputs or {}), script=script, tasks=tasks, seed=seed)
    whole, boundaries = run_virtual(play(mocks=mocks.fresh(), strike=None))
    count = 0
    for boundary in filter(only, boundaries):
        for before in (False, True):
            where = f"the host was lost {'before' if before else 'after'} event {boundary} was written"
            try:
                done, _ = run_virtual(play(mocks=mocks.fresh(), strike=(boundary, before)))
            except AssertionError as error:
                raise AssertionError(f"{where}: {error}") from error
            differences = list(_differences("", whole.facts, done.facts))
            if differences:
                raise AssertionError("\n  ".join([f"{where}, and the end is another:", *differences[:12]]))
            count += 1
    return count


async def _play(
    plans: Sequence[Plan],
    mocks: Mocks,
    inputs: dict[str, Any],
    script: Script | None,
    tasks: Sequence[Task],
    seed: int,
    strike: tuple[int, bool] | None,
) -> tuple[Done, list[int]]:
    """One run. Returns what came of it, and the positions at which the log grew since the start."""
    mocks.known = {task.id: task for task in tasks}
    mocks.context = _context
    system = Stage(mocks.effects(), lambda: mocks.busy, seed)
    async with system:
        for plan in plans:
            await system.insist(f"workflow/{plan.name}", PublishWorkflow(msgspec.Raw(encode_plan(plan))))
        await system.settle()
        system.arm(strike)
        flow = Flow(system, mocks, plans[0].name)
        await system.insist(f"workflow/{plans[0].name}", StartWorkflow("1", inputs))
        if script is not None:
            await script(flow)
        await flow.end()
        await system.settle()
        done = await flow.done()
    mocks.check()
    if not system.struck:
        raise AssertionError("this run did not get there: script and mocks must do the same each time")
    return done, system.boundaries


def _context(call: TaskCall) -> Context:
    return Context(call.task, DEFAULT_TENANT, call.run, call.step, call.attempt, call.key, lambda _what, _data: None)


# -- what came of it


def _steps(state: Any) -> dict[str, StepEnd]:
    return {
        place: StepEnd(
            node.get("status", "pending"), node.get("output"), node.get("error"), node.get("attempt", 0),
            node.get("reason", ""),
        )
        for place, node in state.get("nodes", {}).items()
    }  # fmt: skip


async def _done(system: Stage, mocks: Mocks, run: str) -> Done:
    events = await system.events()
    state = await system.state(run)
    calls = [call for call in mocks.calls if call.run == run or call.run.startswith(f"{run}.")]
    facts: dict[str, Any] = {}
    for stream in dict.fromkeys(event.stream for event in events):
        kind = stream.partition("/")[0]
        if kind == "run":
            facts[stream] = _facts(await system.state(stream))
        elif kind == "approval":
            facts[stream] = {name: (await system.state(stream))[name] for name in ("status", "given")}
    for run, step, result in mocks.results.values():
        facts.setdefault(f"the task of {run} {step}", []).append(result)
    seconds = (state.get("finished_at", 0) - state.get("started_at", 0)) / 1_000_000
    steps = _steps(state)
    return Done(
        state["status"], state.get("outputs"), state.get("error"), steps, calls, events, seconds,
        state.get("usage", {}), state, facts,
    )  # fmt: skip


def _facts(state: Any) -> dict[str, Any]:
    steps = {
        place: {"status": step.status, "output": step.output, "error": step.error}
        for place, step in sorted(_steps(state).items())
    }
    return {name: state.get(name) for name in ("status", "inputs", "outputs", "error", "usage")} | {"steps": steps}


def _differences(where: str, one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        mine, theirs = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        for name in dict.fromkeys([*mine, *theirs]):
            yield from _differences(f"{where}/{name}" if where else name, mine.get(name), theirs.get(name))
    elif one != other:
        yield f"{where}: undisturbed {one!r:.200}, now {other!r:.200}"
