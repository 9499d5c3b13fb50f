"""Timers are rows: they fire when due, once, on whatever host owns the actor then."""

from __future__ import annotations

from infra.memory.system import System, run_system
from tests.kernel.counter import Later, Never, plugin


def test_a_timer_fires_when_it_is_due_and_not_before() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Later(3600, 5))
        await system.advance(3590)
        assert (await system.state("counter/a"))["total"] == 0
        await system.advance(11)
        assert (await system.state("counter/a"))["total"] == 5
        await system.advance(7200)
        assert (await system.state("counter/a"))["total"] == 5

    run_system(plugin(), script)


def test_a_timer_of_the_same_name_replaces_the_one_before() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Later(10, 1))
        await system.ask("counter/a", Later(100, 2))
        await system.advance(50)
        assert (await system.state("counter/a"))["total"] == 0
        await system.advance(60)
        assert (await system.state("counter/a"))["total"] == 2

    run_system(plugin(), script)


def test_a_cancelled_timer_does_not_fire() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Later(10, 1))
        await system.ask("counter/a", Never())
        await system.advance(60)
        assert (await system.state("counter/a"))["total"] == 0

    run_system(plugin(), script)


def test_a_timer_outlives_its_host() -> None:
    async def script(system: System) -> None:
        for n in range(20):
            await system.ask(f"counter/{n}", Later(10, 1))
        await system.lose_host(system.hosts[0])
        await system.add_host()
        await system.advance(20)
        for n in range(20):
            assert (await system.state(f"counter/{n}"))["total"] == 1

    run_system(plugin(), script)
