"""Asks: decided once, answered after the commit, and every repetition gets the first answer."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from events.errors import KeyReused, Refused, Unserved
from events.ids import digest
from infra.memory.system import System, run_system
from tests.kernel.counter import Add, HowMuch, Quiet, plugin


def test_an_ask_is_answered_with_what_was_committed() -> None:
    async def script(system: System) -> None:
        assert await system.ask("counter/a", Add(5)) == {"total": 5}
        assert await system.ask("counter/a", Add(2)) == {"total": 7}
        assert await system.state("counter/a") == {"total": 7, "notes": []}
        events = await system.events()
        assert [(e.position, e.version, e.type) for e in events] == [(1, 1, "Added"), (2, 2, "Added")]

    run_system(plugin(), script)


def test_the_same_key_gets_the_first_answer_and_changes_nothing() -> None:
    async def script(system: System) -> None:
        first = await system.deliver(system.message("counter/a", Add(5), key="k"))
        await system.ask("counter/a", Add(1))
        again = await system.deliver(system.message("counter/a", Add(5), key="k"))
        assert (again.data, again.position, again.version) == (first.data, first.position, first.version)
        assert again.duplicate
        assert not first.duplicate
        assert (await system.state("counter/a"))["total"] == 6

    run_system(plugin(), script)


def test_the_same_key_with_another_body_is_a_conflict() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Add(5), key="k")
        with pytest.raises(KeyReused):
            await system.ask("counter/a", Add(6), key="k")
        assert (await system.state("counter/a"))["total"] == 5

    run_system(plugin(), script)


def test_a_refusal_is_remembered_even_when_it_would_no_longer_be_refused() -> None:
    async def script(system: System) -> None:
        with pytest.raises(Refused, match="0 is less than 3"):
            await system.ask("counter/a", Add(-3), key="k")
        await system.ask("counter/a", Add(10))
        with pytest.raises(Refused, match="0 is less than 3"):
            await system.ask("counter/a", Add(-3), key="k")
        assert (await system.state("counter/a"))["total"] == 10

    run_system(plugin(), script)


def test_an_accepted_message_is_not_refused_when_it_comes_again() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Add(5))
        first = await system.ask("counter/a", Add(-5), key="k")
        assert await system.ask("counter/a", Add(-5), key="k") == first == {"total": 0}

    run_system(plugin(), script)


def test_repetitions_in_flight_at_the_same_time_count_once() -> None:
    async def script(system: System) -> None:
        answers = await asyncio.gather(*(system.ask("counter/a", Add(5), key="k") for _ in range(20)))
        assert answers == [{"total": 5}] * 20
        assert len(await system.events()) == 1

    run_system(plugin(), script)


def test_a_batch_of_repetitions_and_new_messages_is_sorted_out_at_once() -> None:
    async def script(system: System) -> None:
        first = await asyncio.gather(*(system.ask("counter/a", Add(1), key=f"k{n}") for n in range(50)))
        before = system.hosts[0].appender.appends
        again = await asyncio.gather(*(system.ask("counter/a", Add(1), key=f"k{n}") for n in range(100)))
        assert again[:50] == first
        assert [a["total"] for a in again[50:]] == list(range(51, 101))
        assert system.hosts[0].appender.appends - before < 10

    run_system(plugin(), script)


def test_many_messages_to_one_actor_share_appends_and_keep_their_order() -> None:
    async def script(system: System) -> None:
        before = system.hosts[0].appender.appends
        answers = await asyncio.gather(*(system.ask("counter/a", Add(1)) for _ in range(200)))
        assert [a["total"] for a in answers] == list(range(1, 201))
        assert system.hosts[0].appender.appends - before < 20

    run_system(plugin(), script)


def test_a_decision_without_events_is_answered_too() -> None:
    async def script(system: System) -> None:
        answer = await system.deliver(system.message("counter/a", Quiet()))
        assert (answer.outcome, answer.version, answer.data) == ("handled", 0, None)
        assert await system.events() == []

    run_system(plugin(), script)


def test_an_unknown_message_type_and_a_body_that_does_not_fit_are_refused_by_name() -> None:
    class Unknown(msgspec.Struct):
        x: int = 1

    async def script(system: System) -> None:
        with pytest.raises(Refused, match="counter has no message Unknown") as unknown:
            await system.ask("counter/a", Unknown())
        assert unknown.value.reason_code == "unknown-type"
        wrong = msgspec.structs.replace(
            system.message("counter/a", Add(1)), body=b'{"by": "x"}', digest=digest("Add", b"?")
        )
        answer = await system.deliver(wrong)
        assert answer.outcome == "refused"
        assert b"Expected `int`, got `str` - at `$.by`" in (answer.data or b"")

    run_system(plugin(), script)


def test_a_kind_that_does_not_run_here_is_named() -> None:
    async def script(system: System) -> None:
        with pytest.raises(Unserved, match="no actor kind 'nobody' runs here"):
            await system.ask("nobody/a", Add(1))

    run_system(plugin(), script)


def test_a_query_reads_the_committed_state_and_records_nothing() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Add(4))
        answer = await system.hosts[0].query("default", "counter/a", "HowMuch", msgspec.json.encode(HowMuch(3)))
        assert answer == b'{"total":12}'
        assert len(await system.events()) == 1

    run_system(plugin(), script)


def test_an_event_from_outside_keeps_its_id_and_source_and_counts_once() -> None:
    async def script(system: System) -> None:
        first = await system.publish("/sensors/1", "e 1", "Measured", {"c": 21})
        again = await system.publish("/sensors/1", "e 1", "Measured", {"c": 21})
        other = await system.publish("/sensors/2", "e 1", "Measured", {"c": 21})
        assert (first.position, again.position, other.position) == (1, 1, 2)
        events = await system.events()
        assert [(e.stream, e.id, e.type, e.data) for e in events] == [
            ("feed/sensors/1", "/sensors/1 e 1", "Measured", b'{"c":21}'),
            ("feed/sensors/2", "/sensors/2 e 1", "Measured", b'{"c":21}'),
        ]

    run_system(plugin(), script)


def test_the_same_script_gives_the_same_events() -> None:
    async def script(system: System) -> list[tuple[str, bytes]]:
        for n in range(5):
            await system.ask(f"counter/{n}", Add(n))
        return [(e.id, e.hash) for e in await system.events()]

    assert run_system(plugin(), script, seed=7) == run_system(plugin(), script, seed=7)
    assert run_system(plugin(), script, seed=7) != run_system(plugin(), script, seed=8)
