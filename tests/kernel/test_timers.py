"""Timers are rows: they fire when due, once, on whatever host owns the actor then."""

from __future__ import annotations

import asyncio

import msgspec

from actors import Kind, Message, Plugin, Schedule
from actors.core.timers import PAGE
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


def test_the_last_word_on_a_timer_counts_when_several_are_decided_into_one_append() -> None:
    async def script(system: System) -> None:
        for n, (words, total) in enumerate(
            [
                ([Later(10, 1), Never()], 0),
                ([Later(10, 1), Never(), Later(20, 2)], 2),
                ([Later(10, 1), Later(20, 2)], 2),
            ]
        ):
            address = f"counter/{n}"
            await asyncio.gather(*(system.ask(address, word) for word in words))
            await system.advance(60)
            assert (await system.state(address))["total"] == total, words

    run_system(plugin(), script)


def test_a_timer_that_is_due_does_not_fire_when_a_message_before_it_in_the_queue_drops_it() -> None:
    async def script(system: System) -> None:
        for word, total in ((Never(), 0), (Later(20, 2), 2)):
            address = f"counter/{type(word).__name__.lower()}"
            await system.ask(address, Later(10, 1))
            (host,) = system.hosts
            (timer,) = await system.store.timers_of("default", address)
            asking = asyncio.ensure_future(system.ask(address, word))
            await asyncio.sleep(0)
            host.sources.fire(timer)
            await asking
            await system.advance(60)
            assert (await system.state(address))["total"] == total, word

    run_system(plugin(), script)


class Wind(msgspec.Struct, frozen=True):
    number: int


class Wound(msgspec.Struct, frozen=True):
    number: int


class Rang(msgspec.Struct, frozen=True):
    pass


class Ring(msgspec.Struct, frozen=True):
    pass


class Clock(msgspec.Struct):
    rang: int = 0


def decide(state: Clock, message: Message) -> list[object]:
    if isinstance(message.data, Ring):
        return [Rang()]
    return [Wound(message.data.number), *(Schedule(f"{n}", Ring(), after=10) for n in range(message.data.number))]


def evolve(state: Clock, event: object) -> Clock:
    return Clock(state.rang + isinstance(event, Rang))


clock = Kind("clock", state=Clock, decide=decide, evolve=evolve, messages=[Wind, Ring], events=[Wound, Rang])


def test_many_timers_of_a_parked_actor_do_not_keep_others_from_firing() -> None:
    async def script(system: System) -> None:
        for n in range(3):  # so many that they fill pages
            await system.ask(f"clock/stuck-{n}", Wind(PAGE + 1000))
            await system.hosts[0].park("default", f"clock/stuck-{n}", "user:ada", "maintenance")
        await system.advance(5)
        await system.ask("clock/fine", Wind(3))
        await system.lose_host(system.hosts[0])
        await system.add_host()
        await system.advance(120)
        assert [(await system.state(f"clock/stuck-{n}"))["rang"] for n in range(3)] == [0, 0, 0]
        assert (await system.state("clock/fine"))["rang"] == 3

    run_system(Plugin(kinds=[clock]), script)


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
