"""Messages that do harm by their number, their age or their kind: cycles with full mailboxes, bursts, old keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from actors import Kind, Message, Plugin, Reply, Tell
from actors.core.host import Settings
from events.envelope import Answer
from events.errors import Busy, KeyExpired, ThespisError
from gateway.demo.plan import Step
from gateway.proof import LogProof, witness
from tests.acceptance.faults import Strike
from tests.acceptance.small import struck
from tests.acceptance.steps import run_stepped
from tests.acceptance.torture import Torture
from tests.acceptance.world import Machine, World

ACTORS = 5
NARROW = Settings(queue_limit=8, host_limit=32, batch=4)


class Pass(Struct, frozen=True):
    hops: int


class Passed(Struct, frozen=True):
    hops: int


class Ring(Struct):
    passed: int = 0


def decide(state: Ring, message: Message) -> list[Any]:
    """Each message leads to two more, to the neighbours on both sides, until it has gone far enough."""
    hops = message.data.hops
    here = int(message.to.partition("/")[2])
    tells = [Tell(f"ring/{(here + side) % ACTORS}", Pass(hops - 1)) for side in (1, -1)] if hops else []
    return [Passed(hops), *tells, Reply()]


def evolve(state: Ring, event: Passed) -> Ring:
    return Ring(state.passed + 1)


PLUGIN = Plugin(kinds=[Kind("ring", state=Ring, decide=decide, evolve=evolve, messages=[Pass], events=[Passed])])


def run(script: Callable[[World], Awaitable[None]], *, hosts: int = 1, strikes: list[Strike] | None = None) -> None:
    async def main() -> None:
        world = World(PLUGIN, strikes or [], hosts=hosts, settings=NARROW)
        try:
            async with asyncio.timeout(600):
                await world.start()
                await script(world)
        finally:
            await world.stop()

    run_stepped(main())


async def passed(world: World, number: int) -> int:
    """Wait until so many messages were handled; returns the most that waited in the memory of one host."""
    most = 0
    while await world.log.head() < number:
        most = max(most, *(machine.host.waiting for machine in world.machines))
        await asyncio.sleep(0.001)
    return most


@pytest.mark.parametrize("hosts", [1, 2, 3])
@pytest.mark.parametrize("strikes", [[], [Strike("step", 900, "killed"), Strike("step", 2000, "frozen")]])
def test_a_cycle_of_actors_with_full_mailboxes_goes_on_and_memory_is_bounded(hosts: int, strikes: list[Strike]):
    """Every tell is handled once, though each mailbox is full of those that wait for the others."""

    async def script(world: World) -> None:
        steps = [Step(f"ring/{n}", "Pass", {"hops": 6}, f"{n}") for n in range(ACTORS)]
        await asyncio.gather(*(world.ask(step) for step in steps))
        number = ACTORS * (2**7 - 1)
        most = await passed(world, number)
        # What is read ahead in one page, and what one commit may bring, come on top.
        assert most <= NARROW.host_limit + ACTORS * NARROW.queue_limit + 2 * ACTORS * NARROW.batch
        assert all(check.passed for check in await witness(world.log, LogProof()))
        mails, _ = await world.log.mail(range(64), 0, 10)
        assert (await world.log.head(), mails) == (number, [])

    run(script, hosts=hosts, strikes=strikes)


def test_outside_senders_are_told_that_it_is_busy_and_when_to_come_again():
    async def script(world: World) -> None:
        (machine,) = world.machines
        heard: list[Answer | ThespisError] = []
        for n in range(100):
            machine.process.soon(_deliver, machine, world, n, heard)
        while len(heard) < 100:
            await asyncio.sleep(0.01)
        busy = [error for error in heard if isinstance(error, Busy)]
        assert len(busy) == 100 - NARROW.queue_limit
        assert all(error.retry_after for error in busy)
        # Under the same keys they are taken later.
        await asyncio.gather(*(world.ask(Step("ring/0", "Pass", {"hops": 0}, f"burst-{n}")) for n in range(100)))
        assert await world.log.head() == 100

    run(script)


def _deliver(machine: Machine, world: World, n: int, heard: list[Answer | ThespisError]) -> None:
    machine.host.deliver(world.message(Step("ring/0", "Pass", {"hops": 0}, f"burst-{n}")), heard.append)


def test_a_key_beyond_the_horizon_is_refused_and_changes_nothing():
    async def script(world: World) -> None:
        step = Step("ring/0", "Pass", {"hops": 0}, "old")
        first = await world.ask(step)
        assert replace(await world.ask(step), duplicate=False) == first
        await asyncio.sleep(world.random.uniform(10, 20))
        await world.log.prune(world.clock() - 5_000_000)
        for again in (step, replace(step, data={"hops": 1})):
            with pytest.raises(KeyExpired):
                await world.ask(again)
        assert await world.log.head() == 1

    run(script, hosts=2)


@pytest.mark.parametrize("at", range(50, 500, 50))
def test_what_is_forgotten_under_way_is_not_done_again(at: int):
    result = run_stepped(Torture(struck(2, Strike("step", at, "pruned"), Strike("step", at + 30, "killed"))).run())
    assert not result.failed
