"""Random runs of everything: groups, maps, loops, branches, `catch`, `finally`, `undo`, with random failures, and
people who cancel, pause, go on and retry at random times. Whatever happens, a run ends, is sound between any two
messages, and tries nothing twice."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.workflows.messages import CancelRun, PauseRun, RetryRun, UnpauseRun
from actors.workflows.plan import (
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
    Timeouts,
    ValueAction,
    WaitAction,
)
from actors.workflows.tasks import TaskCall, TaskResult
from events.errors import Refused
from infra.memory.system import System, run_system
from tests.workflows.engine_world import Tasks, finished, graph, plan, start

TRIGGERS = ("all_success", "all_success", "all_success", "all_failed", "one_success", "none_failed", "all_done")
POLICIES = (
    Policy("fail_fast"), Policy("fail_fast"), Policy("wait_all"), Policy("continue"), Policy("first_success"),
    Policy("k_of_n", 2),
)  # fmt: skip


def block(draw: Random, depth: int, policy: Policy | None = None) -> Graph:
    """Steps of one block."""
    steps: list[Step] = []
    for n in range(draw.randint(1, 4 if depth else 6)):
        needs = tuple(s.name for s in steps if draw.random() < 0.35)
        steps.append(_step(draw, f"s{n}", needs, depth))
    for n, step in enumerate(steps):
        later = [s.name for s in steps[n + 1 :] if step.name in s.needs]
        if later and draw.random() < 0.15:
            ways = tuple(Case((name,), f"${{ {str(draw.random() < 0.6).lower()} }}") for name in later)
            steps[n] = Step(step.name, SwitchAction(ways, draw.random() < 0.5), needs=step.needs)
    return graph(*steps, policy=policy or draw.choice(POLICIES))


def _step(draw: Random, name: str, needs: tuple[str, ...], depth: int) -> Step:
    kind = draw.choice(["task"] * 5 + ["value", "wait"] + ["group"] * 3 * (depth < 2))
    action: Any = {
        "task": TaskAction("t@1"), "value": ValueAction("${ 1 }"), "wait": WaitAction(draw.choice([0, 1, 20])),
        "group": GroupAction(block(draw, depth + 1)) if kind == "group" else None,
    }[kind]  # fmt: skip
    small = depth < 2 and draw.random() < 0.3
    return Step(
        name, action, needs=needs,
        trigger=draw.choice(TRIGGERS) if needs else "all_success",
        when=draw.choice([None] * 6 + ["${ inputs.no }", "${ inputs.yes }"]),
        each=_each(draw) if draw.random() < 0.25 else None,
        loop=Loop(draw.randint(1, 3), pause=draw.choice([0.0, 5.0])) if draw.random() < 0.15 else None,
        retry=Retry(draw.randint(1, 3), backoff=draw.choice([0.0, 3.0])),
        timeouts=Timeouts(total=draw.choice([None] * 8 + [7.0])),
        catch=block(draw, 2) if small and draw.random() < 0.5 else None,
        finally_=block(draw, 2) if small else None,
        undo=TaskAction("u@1") if draw.random() < 0.3 else None,
        optional=draw.random() < 0.15,
    )  # fmt: skip


def _each(draw: Random) -> Each:
    items = list(range(draw.randint(0, 4)))
    return Each((items,), concurrency=draw.choice([None, 1, 2]), tolerate=draw.randint(0, 1))


def fate(seed: int, call: TaskCall) -> Any:
    """What a call comes to: the same for the same place and attempt."""
    draw = Random(f"{seed} {call.step} {call.attempt}")
    chance = draw.random()
    if chance < 0.15:
        return TaskResult(kind=draw.choice(["error", "error", "lost", "cancelled", "invalid"]), message="no")
    return draw.choice([0.0, 0.0, 1.0, 10.0])


def sound(seed: int, disturbances: int) -> None:
    """Run one, disturbed so often; every message is followed by the checks of `engine_world.checked_run`."""
    draw = Random(seed)
    made: Plan = plan(block(draw, 0), concurrency=draw.choice([None, None, 1, 3]), grace=5.0)
    tasks = Tasks(lambda call: fate(seed, call))

    async def script(system: System) -> None:
        await start(system, made, {"yes": True, "no": False})
        paused = False
        for _ in range(disturbances):
            await system.advance(draw.choice([0.0, 0.5, 2.0, 9.0]))
            what: Any = draw.choice([CancelRun(), PauseRun(), UnpauseRun(), RetryRun(), RetryRun()])
            try:
                await system.ask("run/1", what)
                paused = isinstance(what, PauseRun) or (paused and not isinstance(what, UnpauseRun))
            except Refused:
                continue
        state = await system.state("run/1")
        if state["status"] == "running" and state.get("paused"):
            await system.ask("run/1", UnpauseRun())
        state = await finished(system)
        await system.advance(100)
        assert set(tasks.calls.values()) <= {1}, Counter(tasks.calls).most_common(3)
        assert not await system.store.timers(range(64), 1 << 62, 10)
        assert not await system.store.effects(range(64), "", 10)
        _in_order(made, [e for e in await system.events() if e.stream == "run/1"])

    run_system(tasks.plugin(), script)


def _in_order(made: Plan, events: list[Any]) -> None:
    """No root step began before all that it needs had ended."""
    import msgspec

    needs = {step.name: step.needs for step in made.root.steps}
    ended: set[str] = set()
    for event in events:
        said = msgspec.json.decode(event.data)
        place = said.get("step", "")
        if event.type in ("StepSucceeded", "StepFailed", "StepSkipped", "StepCancelled"):
            ended.add(place)
        if event.type == "RunRetried":
            ended.clear()
            return
        if event.type in ("StepQueued", "StepWaiting", "MapExpanded", "LoopStarted") and place in needs:
            missing = [need for need in needs[place] if need not in ended]
            assert not missing, f"{place} began before {missing}"


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 30), st.sampled_from([0, 0, 1, 3, 8]))
def test_whatever_is_in_a_run_and_whatever_is_done_to_it_it_ends_and_is_sound(seed: int, disturbances: int) -> None:
    sound(seed, disturbances)


@pytest.mark.long
@pytest.mark.parametrize("part", range(8))
def test_thousands_of_runs_end_and_are_sound(part: int) -> None:
    for seed in range(part, 4_000, 8):
        sound(seed, seed % 7)
