"""A step that runs another workflow: waiting for it, leaving it, closing it with the run."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.workflows.messages import (
    CancelRun,
    StartWorkflow,
)
from actors.workflows.plan import (
    Graph,
    Plan,
    Retry,
    Step,
    WorkflowAction,
    encode_plan,
)
from actors.workflows.workflow import PublishWorkflow
from infra.memory.system import System, run_system
from tests.workflows.constructs import do, fails
from tests.workflows.engine_world import Tasks, finished, graph, plan, start


def cancel(after: float) -> Any:
    async def script(system: System, _tasks: Tasks) -> None:
        await system.advance(after)
        await system.ask("run/1", CancelRun("enough", "me"))

    return script


async def publish(system: System, name: str, root: Graph, **said: Any) -> None:
    made = Plan(name, 1, f"{name}-{hash(encode_plan(root)) & 0xFFFFFFFF:x}", root, **said)
    await system.ask(f"workflow/{name}", PublishWorkflow(msgspec.Raw(encode_plan(made))))


def with_child(child: Graph, *steps: Step, answer: Any = lambda _c: 0.0, script: Any = None, **said: Any) -> Any:
    """Run steps of which some run the workflow `child`; returns (state, tasks, system events)."""
    tasks = Tasks(answer)

    async def main(system: System) -> Any:
        await publish(system, "child", child)
        await start(system, plan(graph(*steps), **said))
        if script is not None:
            await script(system, tasks)
        state = await finished(system)
        await system.advance(200)
        return state, tasks, await system.events()

    return run_system(tasks.plugin(), main)


def sub(name: str, *needs: str, input: Any = None, workflow: str = "child", mode: str = "wait",
        on_close: str = "cancel", **said: Any) -> Step:  # fmt: skip
    return Step(name, WorkflowAction(workflow, input, None, mode, on_close), needs=needs, **said)


def child_ends(events: list[Any]) -> dict[str, str]:
    return {e.stream: msgspec.json.decode(e.data)["status"] for e in events if e.type == "RunFinished"}


def test_a_step_waits_for_the_outputs_of_another_workflow() -> None:
    child = graph(do("x", input="${ inputs.n }"), output={"n": "${ steps.x.output }"})
    state, _, _ = with_child(child, sub("s", input={"n": 5}, each=None), do("b", "s", input="${ steps.s.output.n }"))
    assert state["nodes"]["b"]["output"] == 5


def test_another_workflow_that_fails_is_tried_again_as_often_as_the_step_may() -> None:
    state, tasks, events = with_child(graph(do("x")), sub("s", retry=Retry(3)), answer=lambda _c: fails())
    assert (state["status"], tasks.calls.total()) == ("failed", 3)
    assert set(child_ends(events)) == {"run/1", "run/1.s", "run/1.s~2", "run/1.s~3"}


def test_what_is_refused_fails_the_step() -> None:
    state, _, _ = with_child(graph(do("x")), sub("s", workflow="nothing"))
    assert (state["status"], state["nodes"]["s"]["status"]) == ("failed", "failed")
    state, _, _ = with_child(graph(do("x")), sub("s", workflow="nothing", mode="forget"))
    assert state["status"] == "failed"


@pytest.mark.parametrize("on_close", ["cancel", "abandon"])
@pytest.mark.parametrize("mode", ["wait", "detach", "forget"])
def test_what_becomes_of_another_workflow_when_the_run_is_cancelled(mode: str, on_close: str) -> None:
    steps = (sub("s", mode=mode, on_close=on_close), do("b"))
    state, _, events = with_child(
        graph(do("x")), *steps, script=cancel(5), answer=lambda c: None if c.step == "b" else 60.0
    )
    assert state["status"] == "cancelled"
    stopped = on_close == "cancel" and mode != "forget"
    assert child_ends(events)["run/1.s"] == ("cancelled" if stopped else "succeeded")


@pytest.mark.parametrize("mode", ["detach", "forget"])
def test_a_step_that_does_not_wait_is_done_when_the_other_began(mode: str) -> None:
    state, _, events = with_child(graph(do("x")), sub("s", mode=mode), answer=lambda _c: 100.0)
    assert (state["status"], state["nodes"]["s"]["output"]) == ("succeeded", {"run": "1.s"})
    assert state["finished_at"] - state["started_at"] < 50e6
    assert child_ends(events)["run/1.s"] == "succeeded"


@pytest.mark.parametrize("mode", ["wait", "forget"])
def test_workflows_do_not_call_each_other_for_ever(mode: str) -> None:
    tasks = Tasks(lambda _c: 0.0)

    async def script(system: System) -> None:
        await publish(system, "again", graph(sub("s", workflow="again", mode=mode)))
        await system.ask("workflow/again", StartWorkflow("1"))
        await system.advance(100)
        ends = child_ends(await system.events())
        assert len(ends) == 17
        assert "failed" in ends.values()

    run_system(tasks.plugin(), script)
