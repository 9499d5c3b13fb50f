"""A key from before the horizon of the message log is refused as expired, and never executed again."""

from __future__ import annotations

import asyncio

import pytest

from events.errors import KeyExpired
from infra.memory.system import System, run_system
from tests.kernel.counter import Add, Pass, plugin


def test_an_old_key_is_refused_as_expired_with_any_body() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Add(5), key="k")
        await system.store.prune(2**62)
        for by in (5, 6):
            with pytest.raises(KeyExpired, match="position 1"):
                await system.ask("counter/a", Add(by), key="k")
        assert await system.ask("counter/a", Add(1), key="new") == {"total": 6}

    run_system(plugin(), script)


def test_old_keys_among_new_ones_are_sorted_out() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Add(5), key="old")
        await system.store.prune(2**62)
        asked = [system.ask("counter/a", Add(1), key=key) for key in ("old", "x", "old", "y")]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(result) for result in results] == [KeyExpired, dict, KeyExpired, dict]
        assert (await system.state("counter/a"))["total"] == 7

    run_system(plugin(), script)


def test_tells_leave_nothing_behind_once_they_are_old() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Pass("counter/b", 3))
        await system.settle()
        pruned = await system.store.prune(2**62)
        assert (pruned.deleted, pruned.expired) == (1, 1)
        assert (await system.state("counter/b"))["total"] == 3
        assert len(await system.events()) > 1

    run_system(plugin(), script)
