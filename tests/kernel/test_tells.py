"""Tells and asks between actors: durable, in order, once; refusals and answers come back."""

from __future__ import annotations

import msgspec

from actors import Kind, Message, Plugin, Tell
from infra.memory.system import System, run_system
from tests.kernel.counter import Add, Added, Burst, Pass, Question, counter, plugin


def test_a_tell_reaches_its_receiver_and_is_caused_by_the_senders_event() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Pass("counter/b", 3))
        await system.settle()
        assert (await system.state("counter/b"))["total"] == 3
        noted, added = await system.events()
        assert added.causation == noted.id
        assert added.correlation == noted.correlation

    run_system(plugin(), script)


def test_tells_from_one_sender_to_one_receiver_keep_their_order() -> None:
    class Mark(msgspec.Struct, frozen=True):
        n: int

    class Go(msgspec.Struct, frozen=True):
        start: int

    class Marks(msgspec.Struct):
        seen: list[int] = []

    def decide(state: Marks, message: Message) -> list[object]:
        match message.data:
            case Go(start):
                return [Tell("marks/r", Mark(start + i)) for i in range(10)]
            case Mark(n):
                return [Marked(n)]
            case _:
                return []

    class Marked(msgspec.Struct, frozen=True):
        n: int

    def evolve(state: Marks, event: Marked) -> Marks:
        state.seen.append(event.n)
        return state

    marks = Kind("marks", state=Marks, decide=decide, evolve=evolve, messages=[Go, Mark], events=[Marked])

    async def script(system: System) -> None:
        for k in range(20):
            await system.ask("marks/s", Go(k * 10))
        await system.settle()
        assert (await system.state("marks/r"))["seen"] == list(range(200))

    run_system(Plugin(kinds=[marks]), script)
    run_system(Plugin(kinds=[marks]), script, hosts=3)


def test_a_refused_tell_tells_its_sender() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Pass("counter/b", -3))
        await system.settle()
        assert (await system.state("counter/a"))["notes"] == ["pass 0", "counter/b refused: too-low"]
        assert [e.type for e in await system.events()] == ["Noted", "MessageRefused", "Noted"]

    run_system(plugin(), script)


def test_an_ask_between_actors_comes_back_with_the_reply() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/b", Add(9))
        await system.ask("counter/a", Question("counter/b"))
        await system.settle()
        assert (await system.state("counter/a"))["notes"] == ["counter/b replied 9 to q"]

    run_system(plugin(), script)


def test_an_ask_to_a_kind_that_runs_nowhere_times_out() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Question("nobody/b", timeout=5.0))
        await system.advance(6)
        assert (await system.state("counter/a"))["notes"] == ["q timed out"]

    run_system(plugin(), script)


def test_an_ask_that_was_answered_does_not_time_out() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/b", Add(9))
        await system.ask("counter/a", Question("counter/b", timeout=5.0))
        await system.advance(6)
        assert (await system.state("counter/a"))["notes"] == ["counter/b replied 9 to q"]
        assert await system.store.timers_of("default", "counter/a") == []

    run_system(plugin(), script)


def test_an_ask_whose_answer_comes_too_late_times_out_once() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/b", Add(0))
        await system.hosts[0].park("default", "counter/b", "me", "to be slow")
        await system.ask("counter/a", Question("counter/b", timeout=5.0))
        await system.advance(6)
        await system.hosts[0].resume("default", "counter/b", "me", "enough")
        await system.advance(6)
        assert (await system.state("counter/a"))["notes"] == ["q timed out", "counter/b replied 0 to q"]
        assert await system.store.timers_of("default", "counter/a") == []

    run_system(plugin(), script)


def test_a_chain_of_tells_across_hosts_arrives() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Pass("counter/b", 1, hops=50))
        await system.settle()
        totals = [(await system.state(f"counter/{x}"))["total"] for x in "ab"]
        assert sum(totals) == 1

    run_system(plugin(), script, hosts=3)


def test_a_flood_to_one_actor_waits_in_the_store_and_arrives_whole() -> None:
    from actors.core.host import Settings

    async def script(system: System) -> None:
        for n in range(10):
            await system.ask(f"counter/s{n}", Burst("counter/r", 100))
        await system.settle()
        await system.advance(2)
        assert (await system.state("counter/r"))["total"] == 1000

    run_system(plugin(), script, settings=Settings(queue_limit=40))
    run_system(plugin(), script, settings=Settings(queue_limit=40), hosts=2)


def test_facts_reach_those_who_subscribed_once_each() -> None:
    watcher = Kind(
        "watcher",
        state=counter.state,
        decide=counter.decide,
        evolve=counter.evolve,
        events=list(counter.events),
        messages=list(counter.messages),
        subscribes={Added: lambda _event, source: "watcher/all" if source.stream.startswith("counter/") else None},
    )

    async def script(system: System) -> None:
        for n in range(30):
            await system.ask(f"counter/{n % 3}", Add(1))
        await system.advance(2)
        assert (await system.state("watcher/all"))["total"] == 3000
        events = {e.id: e for e in await system.events()}
        for event in events.values():
            if event.stream == "watcher/all":
                assert events[event.causation].stream.startswith("counter/")

    run_system(plugin(extra=[watcher]), script)
    run_system(plugin(extra=[watcher]), script, hosts=2)
