"""The past: state at a version, forks, snapshots that change nothing, and hashes of what was."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from actors import Attempt, EffectKind
from actors.core.fold import state_hash
from actors.core.history import history
from actors.core.host import Host
from events.errors import Conflict, NotFound
from events.store import EventStore
from infra.memory.system import System, run_system
from tests.kernel.counter import Add, Call, Counter, Later, Line, Pass, counter, plugin


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


class Past:
    """What a look back needs of a log. Nothing else is there, so whoever reaches for it fails."""

    def __init__(self, store: EventStore) -> None:
        self.load = store.load
        self.read_stream = store.read_stream


def test_whoever_goes_through_the_past_reaches_nothing_but_the_past() -> None:
    """No clock, no performer, no row that waits, no way to write: the same states come out of the events alone."""
    calls: list[str] = []
    silent = False

    async def perform(request: Line, attempt: Attempt) -> Any:
        assert not silent
        calls.append(request.text)
        return request.text.upper()

    def no_clock() -> int:
        raise AssertionError("the past has no clock")

    used = plugin(EffectKind("echo", request=Line, perform=perform, effect_class="irreversible"))

    async def script(system: System) -> None:
        nonlocal silent
        await system.ask("counter/a", Add(3))
        await system.ask("counter/a", Call("hi"))
        await system.ask("counter/a", Pass("counter/b", 4))
        await system.ask("counter/a", Later(5, 6))
        await system.advance(10)
        await system.ask("counter/a", Later(1e6, 1))  # waits
        then = [await system.state("counter/a", version) for version in range(1, 8)]
        assert (then[-1]["total"], set(then[-1]["notes"])) == (9, {"call hi", "hi succeeded HI", "pass 0", "later"})
        before = await system.events()
        silent = True
        host = Host(cast("EventStore", Past(system.store)), used, now=no_clock)
        seen = [step.state async for step in history(host, "default", "counter/a", 1, None)]
        assert [msgspec.json.decode(state) for state in seen] == then
        assert [(await host.view("default", "counter/a", at)).state for at in range(1, 8)] == then
        assert (await host.view("default", "counter/a")).state == then[-1]
        assert await system.events() == before
        assert calls == ["hi"]

    run_system(used, script)


def test_an_actor_that_comes_back_into_memory_does_nothing_again() -> None:
    calls: list[str] = []

    async def perform(request: Line, attempt: Attempt) -> Any:
        calls.append(request.text)

    async def script(system: System) -> None:
        await system.ask("counter/a", Call("hi"))
        await system.ask("counter/a", Pass("counter/b", 4))
        await system.settle()
        before = await system.events()
        await system.stop_host(system.hosts[0])
        await system.add_host()
        assert await system.ask("counter/a", Add(1)) == {"total": 1}
        assert await system.ask("counter/b", Add(1)) == {"total": 5}
        await system.settle()
        new = (await system.events())[len(before) :]
        assert [(event.stream, event.type) for event in new] == [("counter/a", "Added"), ("counter/b", "Added")]

    run_system(plugin(EffectKind("echo", request=Line, perform=perform, effect_class="idempotent")), script)
    assert calls == ["hi"]
