"""Shared limits held by the tasks of several runs: strict, fair, given back whatever happens."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from actors.workflows.engine.gates import limit_address
from actors.workflows.messages import CancelRun, PauseRun, UnpauseRun
from actors.workflows.plan import Each, LimitUse, Policy, Retry, Step, TaskAction
from actors.workflows.tasks import TaskCall, TaskResult
from infra.memory.system import System, run_system
from tests.workflows.engine_world import Tasks, finished, graph, plan, start

DB = LimitUse("db", size=2)


def step(name: str, *limits: LimitUse, **said: Any) -> Step:
    return Step(name, TaskAction("t@1", said.pop("input", None)), limits=limits or (DB,), **said)


async def left(system: System, address: str = "limit/db") -> tuple[int, int]:
    """Units held, and who waits."""
    await system.settle()
    state = await system.state(address)
    return state.get("used", 0), len(state.get("waiting", {}))


def test_no_more_than_the_limit_at_once_and_who_waits_says_for_what() -> None:
    tasks = Tasks(lambda _call: 1.0)

    async def script(system: System) -> None:
        for run in "123":
            await start(system, plan(graph(*(step(f"s{n}") for n in range(5)))), run=run)
        await system.advance(0.2)
        nodes = [n for run in "123" for n in (await system.state(f"run/{run}"))["nodes"].values()]
        assert sum(n["status"] == "queued" for n in nodes) == 2
        assert {n["reason"] for n in nodes if n["status"] == "waiting"} == {"limit db"}
        for run in "123":
            assert (await finished(system, run))["status"] == "succeeded"
        assert tasks.most == 2
        assert await left(system) == (0, 0)

    run_system(tasks.plugin(), script)


def test_runs_take_turns() -> None:
    tasks = Tasks(lambda _call: 1.0)
    order: list[str] = []

    def answer(call: TaskCall) -> float:
        order.append(call.run)
        return 1.0

    tasks = Tasks(answer)
    one = LimitUse("db", size=1)

    async def script(system: System) -> None:
        await start(system, plan(graph(*(step(f"s{n}", one) for n in range(20)))), run="many")
        await system.settle()
        await start(system, plan(graph(step("a", one), step("b", one))), run="few")
        await finished(system, "few")
        assert order.index("run/few") <= 3
        assert len(order) <= 8

    run_system(tasks.plugin(), script)


def test_a_key_picks_one_of_several_and_several_limits_are_taken_in_one_order() -> None:
    tasks = Tasks(lambda _call: 1.0)
    host = LimitUse("host", key="${ item }", size=1)
    steps = [
        Step("m", TaskAction("t@1"), each=Each(("${ inputs.hosts }",)), limits=(host, DB)),
        Step("n", TaskAction("t@1"), each=Each(("${ inputs.hosts }",)), limits=(DB, host)),
    ]

    async def script(system: System) -> None:
        await start(system, plan(graph(*steps)), {"hosts": ["a", "b", "c", "a"]})
        assert (await finished(system))["status"] == "succeeded"
        assert tasks.most == 2
        for name in ("limit/db", limit_address("host", "a"), limit_address("host", "b")):
            assert await left(system, name) == (0, 0)

    run_system(tasks.plugin(), script)


def test_between_attempts_nothing_is_held_and_afterwards_neither() -> None:
    tasks = Tasks(lambda call: TaskResult(kind="error", message="no") if call.attempt < 3 else 1.0)
    one = LimitUse("db", size=1)

    async def script(system: System) -> None:
        await start(system, plan(graph(step("a", one, retry=Retry(3, backoff=100.0)))))
        await system.advance(5.0)
        assert (await system.state("run/1"))["nodes"]["a"]["status"] == "retrying"
        assert await left(system) == (0, 0)
        assert (await finished(system))["status"] == "succeeded"
        assert await left(system) == (0, 0)

    run_system(tasks.plugin(), script)


def test_a_cancelled_run_gives_back_what_it_holds_and_leaves_the_line() -> None:
    tasks = Tasks(lambda call: None if call.run == "run/1" else 1.0)

    async def script(system: System) -> None:
        await start(system, plan(graph(*(step(f"s{n}") for n in range(5)))), run="1")
        await system.advance(1.0)
        assert await left(system) == (2, 3)
        await start(system, plan(graph(step("a"))), run="2")
        await system.ask("run/1", CancelRun())
        assert (await finished(system, "1"))["status"] == "cancelled"
        assert (await finished(system, "2"))["status"] == "succeeded"
        assert await left(system) == (0, 0)

    run_system(tasks.plugin(), script)


def test_more_units_than_there_are_fail_the_step() -> None:
    tasks = Tasks(lambda _call: 1.0)

    async def script(system: System) -> None:
        await start(system, plan(graph(step("a", LimitUse("db", units=3, size=2)))))
        state = await finished(system)
        assert state["nodes"]["a"]["error"]["data"] == {"code": "too-many"}

    run_system(tasks.plugin(), script)


def test_a_paused_run_that_is_granted_its_units_waits_all_the_same() -> None:
    tasks = Tasks(lambda _call: 10.0)
    one = LimitUse("db", size=1)

    async def script(system: System) -> None:
        await start(system, plan(graph(step("a", one))), run="1")
        await system.settle()
        await start(system, plan(graph(step("a", one))), run="2")
        await system.settle()
        await system.ask("run/2", PauseRun())
        await system.advance(30.0)
        assert (await system.state("run/2"))["nodes"]["a"]["reason"] == "the run is paused"
        await system.ask("run/2", UnpauseRun())
        assert (await finished(system, "2"))["status"] == "succeeded"
        assert await left(system) == (0, 0)

    run_system(tasks.plugin(), script)


@pytest.mark.parametrize("seed", range(6))
def test_in_any_order_of_things_and_with_hosts_lost_the_limit_is_kept_and_nothing_is_left(seed: int) -> None:
    random = Random(seed)
    fates = [0.0, 0.5, 3.0, TaskResult(kind="error", message="no")]

    def answer(call: TaskCall) -> Any:
        return Random(f"{seed}{call.key}{call.attempt}").choice(fates)

    tasks = Tasks(answer)

    async def script(system: System) -> None:
        for run in range(5):
            several = [DB, LimitUse("gpu", units=random.randint(1, 3), size=3)]
            steps = [
                step(
                    f"s{n}", *random.sample(several, random.randint(1, 2)),
                    retry=Retry(random.randint(1, 3), backoff=random.choice([0.0, 2.0])),
                )
                for n in range(6)
            ]  # fmt: skip
            made = plan(graph(*steps, policy=Policy("continue")), concurrency=random.choice([None, 2]))
            await start(system, made, run=str(run))
        lost = False
        for _ in range(12):
            await system.advance(random.choice([0.1, 1.0]))
            held = {p for run in range(5) for p in await held_by(system, f"run/{run}")}
            assert len(held) <= 2
            if not lost and random.random() < 0.2:
                lost = True
                await system.lose_host(system.hosts[0])
            if random.random() < 0.2:
                await system.ask(f"run/{random.randrange(5)}", CancelRun())
        for run in range(5):
            await finished(system, str(run))
        assert await left(system) == (0, 0)
        assert await left(system, "limit/gpu") == (0, 0)

    async def held_by(system: System, address: str) -> list[str]:
        """Tasks under way that must hold a unit of db."""
        nodes = (await system.state(address))["nodes"]
        stored = msgspec.json.decode(msgspec.json.encode((await system.state(address))["plan"]))
        named = {s["name"] for s in stored["root"]["steps"] if any(u["name"] == "db" for u in s.get("limits", ()))}
        return [f"{address}/{name}" for name, n in nodes.items() if name in named and n["status"] == "queued"]

    run_system(tasks.plugin(), script, seed=seed, hosts=2)
