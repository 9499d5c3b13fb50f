"""The actor `workflow`: versions, inputs, and how many runs at once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors import Plugin
from actors.workflows.inputs import checked
from actors.workflows.messages import StartWorkflow, StopRun
from actors.workflows.plan import Plan, Policy, WorkflowAction, encode_plan
from actors.workflows.plan import Step as PlanStep
from actors.workflows.plugin import workflow_plugin
from actors.workflows.workflow import PublishWorkflow, RetireWorkflow
from events.errors import Refused
from infra.cel import Cel
from infra.memory.system import System, run_system
from tests.workflows.engine_world import Tasks, finished, graph, known, task

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "folder": {"type": "string"},
        "most": {"type": "integer", "minimum": 1, "default": 10},
        "options": {"type": "object", "properties": {"deep": {"type": "boolean", "default": True}}, "default": {}},
    },
    "required": ["folder"],
    "additionalProperties": False,
}


def slow(seconds: float = 60.0) -> Plugin:
    """Tasks that take that long."""
    tasks = Tasks(lambda _call: seconds)
    return workflow_plugin(Cel(), tasks.plugin().effects)


def made(name: str = "digest", **said: Any) -> PublishWorkflow:
    """A plan with one task, published."""
    root = said.pop("root", None) or graph(task("t@1", input="${ inputs }"), output={"got": "${ steps.t.output }"})
    plan = Plan(name, 0, "", root, **said)
    digest = f"{hash(encode_plan(plan)) & 0xFFFFFFFF:x}"
    return PublishWorkflow(msgspec.Raw(encode_plan(msgspec.structs.replace(plan, hash=digest))), "name: digest")


def test_a_new_plan_is_a_new_version_and_the_same_again_is_not() -> None:
    async def script(system: System) -> None:
        first = await system.ask("workflow/digest", made())
        again = await system.ask("workflow/digest", made())
        second = await system.ask("workflow/digest", made(grace=5.0))
        back = await system.ask("workflow/digest", made())
        answers = [(r["version"], r["published"]) for r in (first, again, second, back)]
        assert answers == [(1, True), (1, False), (2, True), (3, True)]

    run_system(slow(), script)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (made("other"), "name"),
        (made(inputs={"type": "objekt"}), "plan"),
        (PublishWorkflow(msgspec.Raw(b'{"name":"digest"}')), "plan"),
    ],
)
def test_what_cannot_run_is_not_published(message: PublishWorkflow, code: str) -> None:
    async def script(system: System) -> None:
        with pytest.raises(Refused) as refused:
            await system.ask("workflow/digest", message)
        assert refused.value.reason_code == code

    run_system(slow(), script)


def test_a_run_gets_its_inputs_with_defaults_and_the_version_asked_for() -> None:
    async def script(system: System) -> None:
        await system.ask("workflow/digest", made(inputs=SCHEMA))
        await system.ask("workflow/digest", made(inputs=SCHEMA, grace=5.0))
        reply = await system.ask("workflow/digest", StartWorkflow("1", {"folder": "a"}, version=1))
        assert reply == {"run": "1", "version": 1, "status": "started"}
        state = await finished(system)
        assert state["version"] == 1
        assert state["outputs"]["got"] == {"folder": "a", "most": 10, "options": {"deep": True}}
        newest = await system.ask("workflow/digest", StartWorkflow("2", {"folder": "a"}))
        assert newest["version"] == 2

    run_system(slow(), script)


def test_all_that_is_wrong_with_the_inputs_is_named_at_once() -> None:
    async def script(system: System) -> None:
        await system.ask("workflow/digest", made(inputs=SCHEMA))
        with pytest.raises(Refused) as refused:
            await system.ask("workflow/digest", StartWorkflow("1", {"most": 0, "x": 1}))
        assert refused.value.reason_code == "inputs"
        for part in ("'folder' is a required property", "inputs.most: 0 is less than the minimum", "'x'"):
            assert part in refused.value.message

    run_system(slow(), script)


def test_a_schema_never_makes_a_host_fetch_anything() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema"}}}
    _, problems = checked("remote", schema, {"a": 1})
    assert problems
    assert "127.0.0.1" in problems[0]


def test_unknown_and_retired_workflows_and_versions_are_refused_with_codes() -> None:
    async def script(system: System) -> None:
        async def code(message: Any) -> str:
            with pytest.raises(Refused) as refused:
                await system.ask("workflow/digest", message)
            return refused.value.reason_code

        assert await code(StartWorkflow("1")) == "not-found"
        assert await code(RetireWorkflow()) == "not-found"
        await system.ask("workflow/digest", made())
        assert await code(StartWorkflow("1", version=2)) == "version"
        assert await code(StartWorkflow("no spaces")) == "name"
        assert await code(StopRun("1")) == "not-found"
        await system.ask("workflow/digest", RetireWorkflow())
        assert await code(StartWorkflow("1")) == "retired"
        again = await system.ask("workflow/digest", made())
        assert again["version"] == 2
        assert (await system.ask("workflow/digest", StartWorkflow("1")))["status"] == "started"

    run_system(slow(), script)


def test_asking_twice_for_one_run_is_asking_once() -> None:
    async def script(system: System) -> None:
        await system.ask("workflow/digest", made())
        first = await system.ask("workflow/digest", StartWorkflow("1"))
        assert await system.ask("workflow/digest", StartWorkflow("1")) == first
        await finished(system)
        await system.settle()
        assert (await system.state("workflow/digest")).get("active", {}) == {}
        # Once it is over, its name is still taken: nothing runs twice, and nobody is kept in line by it.
        await system.ask("workflow/digest", StartWorkflow("1"))
        await system.settle()
        assert (await system.state("workflow/digest")).get("active", {}) == {}
        started = [e for e in await system.events() if e.type == "RunStarted"]
        assert len(started) == 1

    run_system(slow(), script)


def test_runs_beyond_the_limit_wait_in_order_and_beyond_the_queue_are_refused() -> None:
    async def script(system: System) -> None:
        await system.ask("workflow/digest", made(runs=2, queue=3))
        for n in range(5):
            await system.ask("workflow/digest", StartWorkflow(str(n)))
        with pytest.raises(Refused) as refused:
            await system.ask("workflow/digest", StartWorkflow("5"))
        assert refused.value.reason_code == "busy"
        for n in range(5):
            await finished(system, str(n))
        await system.settle()
        under_way, most = 0, 0
        order: list[str] = []
        for event in await system.events():
            under_way += (event.type == "RunStarted") - (event.type == "RunFinished")
            most = max(most, under_way)
            order += [event.stream] if event.type == "RunStarted" else []
        assert most == 2
        assert order == [f"run/{n}" for n in range(5)]
        state = await system.state("workflow/digest")
        assert not state.get("active")
        assert not state.get("queue")

    run_system(slow(), script)


def test_a_version_that_allows_more_runs_lets_in_those_that_wait() -> None:
    async def script(system: System) -> None:
        await system.ask("workflow/digest", made(runs=1))
        for n in range(3):
            await system.ask("workflow/digest", StartWorkflow(str(n)))
        await system.ask("workflow/digest", made(runs=2))
        await system.settle()
        assert sorted((await system.state("workflow/digest"))["active"]) == ["0", "1"]

    run_system(slow(), script)


def test_a_run_is_stopped_in_line_and_under_way() -> None:
    async def script(system: System) -> None:
        await system.ask("workflow/digest", made(runs=1))
        for n in range(3):
            await system.ask("workflow/digest", StartWorkflow(str(n)))
        await system.ask("workflow/digest", StopRun("1"))
        await system.ask("workflow/digest", StopRun("0"))
        assert (await finished(system, "0"))["status"] == "cancelled"
        assert (await finished(system, "2"))["status"] == "succeeded"
        assert (await known(system, "run/1"))["status"] == "new"

    run_system(slow(), script)


def test_a_parent_hears_that_its_child_was_refused_even_when_that_is_only_one_of_several() -> None:
    each = [PlanStep(name, WorkflowAction("digest", {"most": n})) for name, n in (("a", 1), ("b", 0), ("c", 2))]

    async def script(system: System) -> None:
        schema: dict[str, Any] = {**SCHEMA, "required": []}
        await system.ask("workflow/digest", made(inputs=schema))
        wait_all = msgspec.structs.replace(graph(*each), policy=Policy("wait_all"))
        await system.ask("workflow/parent", made("parent", root=wait_all))
        await system.ask("workflow/parent", StartWorkflow("1"))
        state = await finished(system)
        assert {n: v["status"] for n, v in state["nodes"].items()} == {
            "a": "succeeded",
            "b": "failed",
            "c": "succeeded",
        }
        assert state["nodes"]["b"]["error"]["kind"] == "inputs"

    run_system(slow(), script)


def test_a_cancelled_parent_takes_its_children_with_it_also_those_in_line() -> None:
    each = [PlanStep(name, WorkflowAction("digest")) for name in ("a", "b")]

    async def script(system: System) -> None:
        await system.ask("workflow/digest", made(runs=1))
        await system.ask("workflow/parent", made("parent", root=graph(*each)))
        await system.ask("workflow/parent", StartWorkflow("1"))
        await system.settle()
        await system.ask("workflow/parent", StopRun("1"))
        assert (await finished(system))["status"] == "cancelled"
        assert (await finished(system, "1.a"))["status"] == "cancelled"
        await system.settle()
        assert not (await system.state("workflow/digest")).get("queue")

    run_system(slow(), script)


def test_the_queue_survives_the_loss_of_a_host() -> None:
    async def script(system: System) -> None:
        await system.ask("workflow/digest", made(runs=1))
        for n in range(4):
            await system.ask("workflow/digest", StartWorkflow(str(n)))
        await system.lose_host(system.hosts[0])
        for n in range(4):
            assert (await finished(system, str(n)))["status"] == "succeeded"

    run_system(slow(), script, hosts=2)
