"""Random graphs with random failures: every step ends as a second, simpler opinion says, once, after what it needs."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.workflows.plan import Policy, Retry, Step, TaskAction
from actors.workflows.tasks import TaskCall, TaskResult
from infra.memory.system import System, run_system
from tests.workflows.engine_world import Tasks, finished, graph, plan, start

TRIGGERS = ("all_success", "all_failed", "one_success", "one_failed", "none_failed", "none_skipped", "all_done")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Step], dict[str, tuple[bool, int, float]]]:
    """Steps, and for each: whether it succeeds, at which attempt, and how long it takes."""
    count = draw(st.integers(1, 12))
    steps: list[Step] = []
    fates: dict[str, tuple[bool, int, float]] = {}
    for n in range(count):
        needs = draw(st.sets(st.integers(0, n - 1), max_size=3)) if n else set[int]()
        attempts = draw(st.integers(1, 3))
        steps.append(
            Step(
                f"s{n}",
                TaskAction("t@1"),
                needs=tuple(f"s{m}" for m in sorted(needs)),
                trigger=draw(st.sampled_from(TRIGGERS)),
                when=draw(st.sampled_from([None, None, None, "${ inputs.yes }", "${ inputs.no }"])),
                retry=Retry(attempts, backoff=draw(st.sampled_from([0.0, 1.0, 60.0]))),
                optional=draw(st.booleans()),
            )
        )
        succeeds = draw(st.sampled_from([True, True, False]))
        fates[f"s{n}"] = (succeeds, draw(st.integers(1, attempts)), draw(st.sampled_from([0.0, 0.5, 30.0])))
    return steps, fates


def expected(steps: list[Step], fates: dict[str, tuple[bool, int, float]]) -> dict[str, str]:
    """What becomes of each step when nothing stops the others."""
    ends: dict[str, str] = {}
    for step in steps:
        kinds = [ends[need] for need in step.needs]
        good, bad, none = kinds.count("succeeded"), kinds.count("failed"), kinds.count("skipped")
        fires = {
            "all_success": good == len(kinds),
            "all_failed": bad == len(kinds),
            "one_success": good > 0 or not kinds,
            "one_failed": bad > 0,
            "none_failed": not bad,
            "none_skipped": not none,
            "all_done": True,
        }[step.trigger]
        if not fires or step.when == "${ inputs.no }":
            ends[step.name] = "skipped"
        else:
            ends[step.name] = "succeeded" if fates[step.name][0] else "failed"
    return ends


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(graphs(), st.sampled_from([None, 1, 2, 5]))
def test_every_step_ends_as_it_must_and_the_run_with_it(
    drawn: tuple[list[Step], dict[str, tuple[bool, int, float]]], slots: int | None
) -> None:
    steps, fates = drawn
    ends: list[str] = []

    def answer(call: TaskCall) -> Any:
        succeeds, at, seconds = fates[call.step]
        if succeeds and call.attempt >= at:
            ends.append(call.step)
            return seconds
        return TaskResult(kind="error", message="no")

    tasks = Tasks(answer)

    async def script(system: System) -> None:
        made = plan(graph(*steps, policy=Policy("wait_all")), concurrency=slots)
        await start(system, made, {"yes": True, "no": False})
        state = await finished(system)
        wanted = expected(steps, fates)
        assert {name: node["status"] for name, node in state["nodes"].items()} == wanted
        must_fail = any(wanted[s.name] == "failed" and not s.optional for s in steps)
        assert state["status"] == ("failed" if must_fail else "succeeded")
        assert set(tasks.calls.values()) <= {1}
        for step in steps:
            attempts = [attempt for _, name, attempt in tasks.calls if name == step.name]
            if wanted[step.name] == "skipped":
                assert not attempts
            elif wanted[step.name] == "succeeded":
                assert attempts == list(range(1, fates[step.name][1] + 1))
            else:
                assert attempts == list(range(1, step.retry.attempts + 1))
        if slots is not None:
            assert tasks.most <= slots
        log = [(e.type, e.version) for e in await system.events() if e.stream == "run/1"]
        assert log[-1][0] == "RunFinished"
        assert state.get("running", 0) == 0

    run_system(tasks.plugin(), script)
