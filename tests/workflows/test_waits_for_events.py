"""Steps that wait for events: woken by what is recorded anywhere in the log, once, and by nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors import Plugin
from actors.core.kind import Kind
from actors.workflows.messages import CancelRun, Signal
from actors.workflows.plan import Each, Step, ValueAction, WaitAction
from infra.memory.system import System, run_system
from tests.workflows.engine_world import Tasks, finished, graph, plan, start


class Pay(msgspec.Struct, frozen=True):
    order: str


class Paid(msgspec.Struct, frozen=True):
    order: str


class Till(msgspec.Struct):
    count: int = 0


def _count(state: Till, _event: Any) -> Till:
    state.count += 1
    return state


till = Kind("till", state=Till, decide=lambda _s, m: [Paid(m.data.order)], evolve=_count, messages=[Pay], events=[Paid])
MATCH = "event.data.order == inputs.order"
WAIT = Step("paid", WaitAction(event="Paid", match=MATCH), dependents=())


def world() -> Plugin:
    plugin = Tasks(lambda _call: 0.0).plugin()
    plugin.kinds.append(till)
    return plugin


async def started(system: System, count: int = 1, **said: Any) -> None:
    """Runs that wait for the orders of their own numbers."""
    for n in range(count):
        await start(system, plan(graph(WAIT, **said)), {"order": f"o{n}"}, str(n))
    await system.settle()


async def status(system: System, run: str = "0") -> str:
    return (await system.state(f"run/{run}"))["status"]


async def followed(system: System) -> int:
    """Appends that the follower made."""
    return sum(event.type == "Followed" for event in await system.events())


def test_an_event_of_an_actor_wakes_the_run_that_it_matches_and_no_other() -> None:
    async def script(system: System) -> None:
        await started(system, 3)
        await system.ask("till/1", Pay("o1"))
        await system.advance(3.0)
        assert [await status(system, str(n)) for n in range(3)] == ["running", "succeeded", "running"]
        output = (await system.state("run/1"))["nodes"]["paid"]["output"]
        assert (output["type"], output["data"]) == ("Paid", {"order": "o1"})
        assert await followed(system) == 1

    run_system(world(), script)


def test_an_event_from_outside_wakes_too() -> None:
    async def script(system: System) -> None:
        await started(system)
        await system.publish("https://shop.example", "17", "Paid", {"order": "o0"})
        await system.advance(3.0)
        assert await status(system) == "succeeded"

    run_system(world(), script)


def test_what_nobody_waits_for_costs_no_append_and_wakes_no_run() -> None:
    async def script(system: System) -> None:
        await started(system)
        for n in range(50):
            await system.ask("till/1", Pay(f"other{n}"))
        await system.advance(3.0)
        assert await followed(system) == 0
        assert [e.type for e in await system.events() if e.stream == "run/0"][-1] == "EventAwaited"

    run_system(world(), script)


def test_an_event_from_before_the_wait_does_not_count() -> None:
    async def script(system: System) -> None:
        await system.ask("till/1", Pay("o0"))
        await started(system)
        await system.advance(3.0)
        assert await status(system) == "running"
        await system.ask("till/1", Pay("o0"))
        await system.advance(3.0)
        assert await status(system) == "succeeded"

    run_system(world(), script)


def test_waits_in_a_map_see_their_items_and_each_is_woken_by_its_own() -> None:
    wait = Step(
        "w", WaitAction(event="Paid", match="event.data.order == o.id"), each=Each(("${ inputs.orders }",), name="o")
    )

    async def script(system: System) -> None:
        await start(system, plan(graph(wait)), {"orders": [{"id": f"o{n}"} for n in range(5)]})
        await system.settle()
        for n in (3, 1, 4, 0, 2):
            await system.ask("till/1", Pay(f"o{n}"))
        state = await finished(system)
        assert [o["data"]["order"] for o in state["nodes"]["w"]["output"]] == [f"o{n}" for n in range(5)]

    run_system(world(), script)


def test_who_stopped_waiting_is_not_looked_for_any_more() -> None:
    timed = Step("paid", WaitAction(event="Paid", match=MATCH, seconds=10.0))

    async def script(system: System) -> None:
        await started(system)
        await system.ask("run/0", CancelRun())
        await start(system, plan(graph(timed)), {"order": "o1"}, "1")
        await system.advance(20.0)
        assert [await status(system, n) for n in "01"] == ["cancelled", "failed"]
        for n in range(2):
            await system.ask("till/1", Pay(f"o{n}"))
        await system.advance(3.0)
        assert await followed(system) == 0

    run_system(world(), script)


def test_a_signal_by_hand_and_one_after_another_still_work() -> None:
    steps = [
        msgspec.structs.replace(WAIT, dependents=("second",)),
        Step("second", WaitAction(event="Paid"), needs=("paid",), dependents=("end",)),
        Step("end", ValueAction("${ steps.second.output.data.order }"), needs=("second",)),
    ]

    async def script(system: System) -> None:
        await start(system, plan(graph(*steps)), {"order": "o0"})
        await system.settle()
        assert (await system.ask("run/1", Signal("Paid", {"order": "o0"})))["matched"] == 1
        await system.advance(3.0)
        await system.ask("till/1", Pay("anything"))
        state = await finished(system)
        assert state["nodes"]["end"]["output"] == "anything"

    run_system(world(), script)


@pytest.mark.parametrize("seed", range(8))
def test_with_hosts_lost_at_any_moment_every_run_is_woken_by_its_event_once(seed: int) -> None:
    async def script(system: System) -> None:
        random = system.random
        waiting = [f"{n}" for n in range(12)]
        for n in waiting:
            await start(system, plan(graph(WAIT)), {"order": f"o{n}"}, n)
        paying = list(waiting)
        random.shuffle(paying)
        for step, n in enumerate(paying):
            await system.ask("till/1", Pay(f"o{n}"), key=n)
            if random.random() < 0.5:
                await system.advance(random.choice([0.0, 0.3, 2.0]))
            if step in (3, 8):
                await system.add_host()
                await system.lose_host(random.choice(system.hosts[:-1]))
        for n in waiting:
            assert (await finished(system, n))["nodes"]["paid"]["output"]["data"] == {"order": f"o{n}"}
        ends = [e.stream for e in await system.events() if e.type == "StepSucceeded"]
        assert sorted(ends) == sorted(f"run/{n}" for n in waiting)

    run_system(world(), script, seed=seed, hosts=2)
