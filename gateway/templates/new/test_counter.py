"""What a counter promises. Run with: python -m pytest"""

from __future__ import annotations

from typing import Any

from counters.counter import Add, Added, counter
from counters.totals import totals

from actors import Plugin, Reply
from actors.testing import given
from infra.memory.system import System, run_system
from projections import replay


def test_a_counter_adds_up() -> None:
    given(counter, Added(2)).when(Add(3)).then(Added(3), Reply({"total": 5}))


def test_a_counter_never_goes_below_zero() -> None:
    given(counter, Added(2)).when(Add(-3)).refused("below-zero")


def test_the_totals_show_what_the_counters_have() -> None:
    async def script(system: System) -> list[dict[str, Any]]:
        await system.ask("counter/a", Add(2))
        await system.ask("counter/b", Add(5))
        await system.ask("counter/a", Add(-1))
        return replay(totals, await system.events())["totals"]

    rows = run_system(Plugin(kinds=[counter]), script)
    assert [(row["counter"], row["total"]) for row in rows] == [("counter/a", 1), ("counter/b", 5)]
