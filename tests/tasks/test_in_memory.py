"""A user's tasks in the testing kit: runs on virtual time, everything on the loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors import Plugin
from actors.approval import approval
from actors.core.kind import merge
from actors.limit import limit
from actors.workflows.messages import CancelRun
from actors.workflows.run import run_kind
from actors.workflows.tasks import Task, TaskError
from events.errors import BadDefinition
from infra.cel import Cel
from infra.memory.system import System, run_system
from infra.tasks.context import Context
from tests.workflows.engine_world import finished, graph, plan, start, task


def run(*tasks: Task, hosts: int = 1) -> Plugin:
    return Plugin(kinds=[run_kind(Cel()), approval, limit], tasks=tasks)


def test_a_run_performs_the_plugins_tasks_on_virtual_time() -> None:
    async def sleep(input: dict[str, float], context: Context) -> float:
        context.usage(tokens=1)
        await asyncio.sleep(input["seconds"])
        return input["seconds"]

    def double(number: float) -> float:
        return number * 2

    async def script(system: System) -> dict[str, Any]:
        steps = (
            task("sleep", step="a", input={"seconds": 60.0}),
            task("double", step="b", needs=("a",), input="${ steps.a.output }"),
        )
        await start(system, plan(graph(*steps, output={"b": "${ steps.b.output }"})))
        return await finished(system)

    state = run_system(run(Task("sleep", sleep, timeout=7200), Task("double", double)), script)
    assert (state["status"], state["outputs"]) == ("succeeded", {"b": 120.0})
    assert state["usage"] == {"tokens": "1"}


def test_a_task_that_takes_too_long_fails_its_step() -> None:
    async def hang(_: Any) -> None:
        await asyncio.Event().wait()

    async def script(system: System) -> dict[str, Any]:
        await start(system, plan(graph(task("hang", step="a"))))
        return await finished(system)

    state = run_system(run(Task("hang", hang, timeout=100)), script)
    assert (state["status"], state["error"]["kind"]) == ("failed", "timeout")


def test_an_irreversible_task_out_of_time_waits_for_a_person() -> None:
    async def hang(_: Any) -> None:
        await asyncio.Event().wait()

    async def script(system: System) -> dict[str, Any]:
        await start(system, plan(graph(task("hang", step="a", effect_class="irreversible"))))
        await system.advance(3600)
        return await system.state("run/1")

    state = run_system(run(Task("hang", hang, timeout=100, effect_class="irreversible")), script)
    assert (state["status"], state["nodes"]["a"]["status"]) == ("running", "unknown")


def test_a_lost_host_loses_no_step() -> None:
    async def flaky(input: float) -> str:
        await asyncio.sleep(input)
        return "done"

    async def script(system: System) -> dict[str, Any]:
        await start(system, plan(graph(task("flaky", step="a", input=10.0))))
        await system.advance(5)
        for host in list(system.hosts)[:1]:
            await system.add_host()
            await system.lose_host(host)
        return await finished(system)

    assert run_system(run(Task("flaky", flaky)), script)["status"] == "succeeded"


def test_a_call_that_was_stopped_is_not_begun_again_by_whoever_takes_over() -> None:
    begun: list[int] = []

    async def tidies_up(seconds: float) -> None:
        begun.append(1)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(seconds)

    async def script(system: System) -> dict[str, Any]:
        await start(system, plan(graph(task("tidies-up", step="a", input=20.0)), grace=60.0))
        await system.advance(1)
        await system.ask("run/1", CancelRun("not wanted"))
        await system.advance(1)
        await system.add_host()
        await system.lose_host(system.hosts[0])
        state = await finished(system)
        await system.settle()
        assert not await system.store.effects(range(64), "", 10)
        return state

    assert run_system(run(Task("tidies-up", tidies_up, timeout=3600)), script)["status"] == "cancelled"
    assert begun == [1]


def test_two_tasks_of_one_name_and_version_are_refused() -> None:
    def refuse(_: Any) -> None:
        raise TaskError("never")

    with pytest.raises(BadDefinition, match="t@1"):
        merge([Plugin(tasks=[Task("t", refuse)]), Plugin(tasks=[Task("t", refuse)])])
