"""Code and history of different ages: upcasters, and actors that this code does not understand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors import Kind, Plugin, versioned
from events.errors import BadDefinition, Unserved
from infra.memory.system import System, run_system
from tests.kernel.counter import Add, Noted, Pass, counter


class Added(msgspec.Struct, frozen=True):
    """What `Added` became: the amount has a unit now."""

    amount: int
    unit: str


def evolve(state: Any, event: Any) -> Any:
    if isinstance(event, Added):
        state.total += event.amount
    return state


def upcast(data: dict[str, Any]) -> dict[str, Any]:
    return {"amount": data["by"], "unit": "one"}


def newer(**options: Any) -> Kind:
    return Kind("counter", state=counter.state, decide=counter.decide, evolve=evolve, messages=[Add], **options)


def test_old_events_reach_evolve_as_new_ones() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Add(3))
        await system.ask("counter/a", Add(4))
        system.plugin = Plugin(kinds=[newer(events=[versioned(Added, schema=2, upcasters={1: upcast})])])
        await system.stop_host(system.hosts[0])
        await system.add_host()
        assert (await system.state("counter/a"))["total"] == 7

    run_system(Plugin(kinds=[counter]), script)


def test_an_actor_whose_history_this_code_does_not_know_is_not_served_and_its_mail_waits() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Add(3))
        system.plugin = Plugin(kinds=[newer(events=[Noted])])
        await system.stop_host(system.hosts[0])
        await system.add_host()
        with pytest.raises(Unserved, match="event Added \\(schema 1\\) at version 1 is not known to this code"):
            await system.ask("counter/a", Add(1))
        with pytest.raises(Unserved):
            await system.state("counter/a")
        # The older code comes back, and nothing was folded past what was not understood.
        system.plugin = Plugin(kinds=[counter])
        await system.stop_host(system.hosts[0])
        await system.add_host()
        assert await system.ask("counter/a", Add(1)) == {"total": 4}

    run_system(Plugin(kinds=[counter]), script)


def test_mail_for_a_kind_that_runs_nowhere_waits_for_a_host_that_has_it() -> None:
    other = Kind(
        "other", state=counter.state, decide=counter.decide, evolve=counter.evolve, messages=[Add], events=[Noted]
    )

    async def script(system: System) -> None:
        await system.ask("counter/a", Pass("late/b", 5))
        await system.settle()
        late = Kind(
            "late",
            state=counter.state,
            decide=counter.decide,
            evolve=counter.evolve,
            messages=list(counter.messages),
            events=list(counter.events),
        )
        system.plugin = Plugin(kinds=[counter, late])
        await system.stop_host(system.hosts[0])
        await system.add_host()
        await system.settle()
        assert (await system.state("late/b"))["total"] == 5

    run_system(Plugin(kinds=[counter, other]), script)


def test_definitions_that_contradict_themselves_are_refused_by_name() -> None:
    with pytest.raises(BadDefinition, match="Added is at schema version 3 but has upcasters from \\[1\\]"):
        versioned(Added, schema=3, upcasters={1: upcast})
    with pytest.raises(BadDefinition, match="'Big Name' is not a kind name"):
        Kind("Big Name", state=counter.state, decide=counter.decide, evolve=evolve)
    with pytest.raises(BadDefinition, match="two types are named Added"):
        newer(events=[Added, next(iter(counter.events))])
