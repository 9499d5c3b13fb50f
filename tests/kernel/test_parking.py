"""Supervision: a message that cannot be handled parks its actor; everybody else goes on, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from events.address import PARTITIONS, partition_of
from events.envelope import Answer, Message
from events.errors import Conflict, Parked
from events.ids import random_id
from infra.memory.system import System, run_system
from tests.kernel.counter import Add, Boom, Burst, Later, Pass, armed, plugin


@pytest.fixture(autouse=True)
def _armed() -> Iterator[None]:
    armed["boom"] = True
    yield
    armed["boom"] = True


def test_an_actor_that_keeps_failing_is_parked_and_says_so() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Add(1))
        with pytest.raises(Parked, match="counter/a is parked: it cannot handle a message"):
            await system.ask("counter/a", Boom())
        with pytest.raises(Parked):
            await system.ask("counter/a", Add(1))
        assert await system.ask("counter/b", Add(1)) == {"total": 1}
        view = await system.hosts[0].view("default", "counter/a")
        assert (view.parked, view.state["total"]) == ("it cannot handle a message", 1)
        parked = (await system.events())[1]
        assert (parked.type, b"RuntimeError: boom" in parked.data) == ("ActorParked", True)

    run_system(plugin(), script)


def test_tells_to_a_parked_actor_wait_and_are_handled_after_it_resumes() -> None:
    async def script(system: System) -> None:
        with pytest.raises(Parked):
            await system.ask("counter/a", Boom())
        await system.ask("counter/b", Burst("counter/a", 5))
        await system.settle()
        assert (await system.state("counter/a"))["total"] == 0
        await system.hosts[0].resume("default", "counter/a", "user:ada", "mended")
        await system.settle()
        assert (await system.state("counter/a"))["total"] == 5

    run_system(plugin(), script)


def test_tells_wait_for_a_parked_actor_across_hosts() -> None:
    async def script(system: System) -> None:
        with pytest.raises(Parked):
            await system.ask("counter/a", Boom())
        await system.ask("counter/b", Burst("counter/a", 5))
        await system.ask("counter/c", Later(1, 1))
        await system.lose_host(system.hosts[0])
        host = await system.add_host()
        await system.advance(10)
        with pytest.raises(Parked):
            await system.ask("counter/a", Add(1))
        await host.resume("default", "counter/a", "user:ada", "mended")
        await system.settle()
        assert (await system.state("counter/a"))["total"] == 5

    run_system(plugin(), script)


def test_a_poison_tell_is_tried_again_after_mending_or_skipped_by_name() -> None:
    async def script(system: System) -> None:
        host = system.hosts[0]
        for _ in range(2):
            await system.ask("counter/b", Pass("counter/a", 1))
        await system.settle()
        await system.ask("boomer/x", Boom())
        await system.settle()
        assert (await host.view("default", "counter/a")).parked is not None
        await host.resume("default", "counter/a", "user:ada", "try again")
        await system.settle()
        await system.advance(1)
        assert (await host.view("default", "counter/a")).parked is not None
        await host.resume("default", "counter/a", "user:ada", "skip it", skip=True)
        await system.settle()
        view = await host.view("default", "counter/a")
        assert (view.parked, view.state) == (None, {"total": 2, "notes": []})
        outcomes = [m.outcome for m in await system.store.messages("default", "counter/a")]
        assert "skipped" in outcomes

    from actors import Kind, Tell
    from tests.kernel.counter import Noted, counter

    boomer = Kind(
        "boomer",
        state=counter.state,
        decide=lambda _state, message: [Noted("passing on"), Tell("counter/a", message.data)],
        evolve=counter.evolve,
        messages=[Boom],
        events=[Noted],
    )
    run_system(plugin(extra=[boomer]), script)


def test_an_operator_parks_and_resumes_and_contradictions_are_refused() -> None:
    async def script(system: System) -> None:
        host = system.hosts[0]
        await system.ask("counter/a", Add(1))
        await host.park("default", "counter/a", "user:ada", "maintenance")
        with pytest.raises(Parked, match="maintenance"):
            await system.ask("counter/a", Add(1))
        with pytest.raises(Conflict, match="is parked already"):
            await host.park("default", "counter/a", "user:ada", "again")
        await host.resume("default", "counter/a", "user:ada", "done")
        assert await system.ask("counter/a", Add(1)) == {"total": 2}
        with pytest.raises(Conflict, match="is not parked"):
            await host.resume("default", "counter/a", "user:ada", "again")

    run_system(plugin(), script)


def test_a_timer_that_fires_while_its_actor_is_parked_waits_for_it() -> None:
    async def script(system: System) -> None:
        host = system.hosts[0]
        await system.ask("counter/a", Later(5, 7))
        await host.park("default", "counter/a", "user:ada", "maintenance")
        await system.advance(60)
        assert (await system.state("counter/a"))["total"] == 0
        await host.resume("default", "counter/a", "user:ada", "done")
        await system.advance(5)
        assert (await system.state("counter/a"))["total"] == 7

    run_system(plugin(), script)


def test_tells_keep_their_order_over_a_park_and_a_resume_while_more_arrive() -> None:
    from actors import Kind, Plugin, Tell
    from tests.kernel.counter import Add, Noted

    class Seen(msgspec.Struct):
        values: list[int] = []

    class Saw(msgspec.Struct, frozen=True):
        value: int

    def decide(state: Seen, message: Message) -> list[object]:
        by = message.data.by
        if message.to == "seer/sender":
            return [Noted("go"), *(Tell("seer/receiver", Add(by + n)) for n in range(5))]
        if by == 7 and armed["boom"]:
            raise RuntimeError("not seven")
        return [Saw(by)]

    def evolve(state: Seen, event: object) -> Seen:
        if isinstance(event, Saw):
            state.values.append(event.value)
        return state

    seer = Kind("seer", state=Seen, decide=decide, evolve=evolve, messages=[Add], events=[Noted, Saw])

    async def script(system: System) -> None:
        for n in range(4):
            await system.ask("seer/sender", Add(n * 5))
        await system.settle()
        assert (await system.state("seer/receiver"))["values"] == [0, 1, 2, 3, 4, 5, 6]
        armed["boom"] = False
        asks = [asyncio.ensure_future(system.ask("seer/sender", Add(20 + n * 5))) for n in range(20)]
        await system.hosts[0].resume("default", "seer/receiver", "user:ada", "mended")
        await asyncio.gather(*asks)
        await system.settle()
        await system.advance(1)
        assert (await system.state("seer/receiver"))["values"] == list(range(120))

    run_system(Plugin(kinds=[seer]), script)


def test_what_others_died_of_is_known_to_whoever_takes_their_actors_over_and_tried_once_more_when_told() -> None:
    async def script(system: System) -> None:
        deadly = random_id()
        for _ in range(3):
            await system.store.strike("default", "counter/a", deadly, "another host died")
        await system.lose_host(system.hosts[0])
        host = await system.add_host()
        await system.advance(5)

        def add(id: str, by: int) -> Message:
            body = msgspec.json.encode(Add(by))
            return Message(id, "Add", "counter/a", "default", body, "user:ada", host.now(), "", id)

        # Behind another message, which goes into an append of its own.
        first, second = await asyncio.gather(
            host.ask(add(random_id(), 1)), host.ask(add(deadly, 10)), return_exceptions=True
        )
        assert isinstance(first, Answer)
        assert isinstance(second, Parked)
        view = await host.view("default", "counter/a")
        assert (view.state["total"], view.parked) == (1, "it takes down the process that handles it")
        parked = [e for e in await system.events() if e.type == "ActorParked"]
        assert [msgspec.json.decode(e.data)["error"] for e in parked] == ["3 hosts died"]
        await host.resume("default", "counter/a", "user:ada", "mended")
        await host.supervision.learn(set(range(PARTITIONS)) - {partition_of("default", "counter/a")})  # others come
        await host.ask(add(deadly, 10))
        assert (await system.state("counter/a"))["total"] == 11

    run_system(plugin(), script)
