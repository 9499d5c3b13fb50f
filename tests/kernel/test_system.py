"""The in-memory system users test with: projections run in it too, and a script gives the same events every time."""

from __future__ import annotations

from actors import Plugin
from events.envelope import Event
from infra.memory.system import System, run_system
from projections import Projection, Ref, Rows, Table
from tests.kernel.counter import Add, Added, counter

TOTALS = Table("totals", {"tenant": str, "actor": str, "total": int}, key=("tenant", "actor"))


def keys(event: Event, data: Added) -> list[Ref]:
    return [(TOTALS, (event.tenant, event.stream))]


def apply(rows: Rows, event: Event, data: Added) -> None:
    row = rows.get(TOTALS, event.tenant, event.stream) or {"tenant": event.tenant, "actor": event.stream, "total": 0}
    row["total"] += data.by
    rows.put(TOTALS, row)


totals = Projection("totals", 1, tables=[TOTALS], types=[Added], keys=keys, apply=apply)


def test_a_projection_of_the_plugin_has_folded_everything_when_it_is_asked() -> None:
    async def script(system: System) -> None:
        for n in range(10):
            await system.ask(f"counter/{n % 2}", Add(n))
        assert await system.rows("totals") == [
            {"tenant": "default", "actor": "counter/0", "total": 20},
            {"tenant": "default", "actor": "counter/1", "total": 25},
        ]
        assert [row["actor"] for row in await system.rows("totals", "total>20")] == ["counter/1"]

    run_system(Plugin(kinds=[counter], projections=[totals]), script)
