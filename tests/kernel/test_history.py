"""The past: state at a version, forks, snapshots that change nothing, and hashes of what was."""

from __future__ import annotations

import pytest

from actors.core.fold import state_hash
from events.errors import Conflict, NotFound
from infra.memory.system import System, run_system
from tests.kernel.counter import Add, Counter, Pass, counter, plugin


def test_an_actor_is_shown_as_it_was_at_a_version() -> None:
    async def script(system: System) -> None:
        for n in range(5):
            await system.ask("counter/a", Add(n))
        assert [(await system.state("counter/a", at))["total"] for at in (1, 2, 3, 4, 5)] == [0, 1, 3, 6, 10]
        with pytest.raises(NotFound, match="has no version 6"):
            await system.state("counter/a", 6)
        with pytest.raises(NotFound, match="counter/b has no history"):
            await system.state("counter/b")
        assert len(await system.events()) == 5

    run_system(plugin(), script)


def test_an_actor_that_left_memory_comes_back_from_snapshot_and_tail() -> None:
    async def script(system: System) -> None:
        host = system.hosts[0]
        for _ in range(250):
            await system.ask("counter/a", Add(1))
        await system.advance(300)
        assert not host.cells["default"]
        loaded = (await system.store.load([("default", "counter/a", counter.fold_id)]))[0]
        assert loaded.snapshot is not None
        assert loaded.snapshot.version + len(loaded.events) == 250
        assert len(loaded.events) < 100
        assert await system.ask("counter/a", Add(1)) == {"total": 251}

    run_system(plugin(), script)


def test_the_state_is_remembered_by_hash_when_an_actor_leaves_memory() -> None:
    async def script(system: System) -> None:
        await system.ask("counter/a", Add(5))
        await system.advance(300)
        (remembered,) = await system.store.state_hashes("default", "counter/a")
        assert (remembered.version, remembered.hash) == (1, state_hash(Counter(5, [])))

    run_system(plugin(), script)


def test_a_fork_continues_a_history_it_does_not_copy_and_keeps_its_tells_in() -> None:
    async def script(system: System) -> None:
        host = system.hosts[0]
        for n in (1, 2, 4):
            await system.ask("counter/a", Add(n))
        await host.fork("default", "counter/a", 2, "counter/what-if", "user:ada")
        assert (await system.state("counter/what-if"))["total"] == 3
        assert await system.ask("counter/what-if", Add(10)) == {"total": 13}
        assert (await system.state("counter/a"))["total"] == 7
        assert (await system.state("counter/what-if", 1))["total"] == 1
        await system.ask("counter/what-if", Pass("counter/b", 1))
        await system.settle()
        with pytest.raises(NotFound):
            await system.state("counter/b")
        own = [e for e in await system.events() if e.stream == "counter/what-if"]
        assert [(e.version, e.type) for e in own] == [(3, "Forked"), (4, "Added"), (5, "Noted")]
        with pytest.raises(Conflict, match="exists already"):
            await host.fork("default", "counter/a", 1, "counter/what-if", "user:ada")
        with pytest.raises(NotFound, match="has no version 9"):
            await host.fork("default", "counter/a", 9, "counter/other", "user:ada")

    run_system(plugin(), script)
