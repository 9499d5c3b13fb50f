"""One writer per actor: shares, hand-over, takeover, and a host that comes back too late stays silent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from actors.core.host import Host, wall_clock
from events.address import partition_of
from events.envelope import Message
from events.errors import ThespisError
from events.ids import random_id
from events.store import StateHash
from infra.memory.store import MemoryStore
from infra.memory.system import System, run_system
from tests.kernel.counter import Add, plugin


async def owns_all(host: Host) -> None:
    while len(host.owned) < 64:
        await host.ownership.changed(60)


def test_hosts_share_the_partitions_and_none_is_owned_twice() -> None:
    async def script(system: System) -> None:
        await system.add_host()
        await system.add_host()
        await system.advance(5)
        owned = [set(host.owned) for host in system.hosts]
        assert set().union(*owned) == set(range(64))
        assert sum(len(o) for o in owned) == 64
        assert all(len(o) > 5 for o in owned)

    run_system(plugin(), script)


def test_a_host_that_stops_hands_over_without_losing_a_message() -> None:
    async def script(system: System) -> None:
        await system.add_host()
        await system.advance(3)
        asks = [asyncio.ensure_future(system.ask(f"counter/{n % 10}", Add(1), key=f"k{n}")) for n in range(200)]
        await asyncio.sleep(0)
        await system.stop_host(system.hosts[0])
        await asyncio.gather(*asks)
        await system.advance(3)
        assert sum([(await system.state(f"counter/{n}"))["total"] for n in range(10)]) == 200
        assert set(system.hosts[0].owned) == set(range(64))

    run_system(plugin(), script)


def test_a_lost_hosts_partitions_are_taken_over_within_three_seconds() -> None:
    async def script(system: System) -> None:
        await system.add_host()
        await system.advance(3)
        await system.lose_host(system.hosts[0])
        began = asyncio.get_running_loop().time()
        await owns_all(system.hosts[0])
        assert asyncio.get_running_loop().time() - began <= 3

    run_system(plugin(), script)


def test_a_host_that_comes_back_after_its_lease_writes_nothing() -> None:
    async def script(system: System) -> None:
        zombie = system.hosts[0]
        await system.ask("counter/a", Add(1))
        line = system._lines[zombie.id]
        line.cut = True
        fresh = await system.add_host()
        system.hosts.remove(zombie)
        await owns_all(fresh)
        await system.ask("counter/a", Add(10))
        # The zombie wakes and decides on what it remembers, under its old epoch.
        zombie.ownership.owned.update({p: fresh.owned[p] - 1 for p in range(64)})
        line.cut = False
        zombie.appender.start()
        with pytest.raises(ThespisError):
            await zombie.ask(system.message("counter/a", Add(100)))
        assert partition_of("default", "counter/a") not in zombie.owned
        assert (await system.state("counter/a"))["total"] == 11
        assert [e.version for e in await system.events()] == [1, 2]

    run_system(plugin(), script)


class Slow(MemoryStore):
    """Remembers states only when it is let."""

    def __init__(self) -> None:
        super().__init__(now=wall_clock)
        self.asked = asyncio.Event()
        self.let = asyncio.Event()

    async def save_state_hashes(self, hashes: Sequence[StateHash]) -> None:
        self.asked.set()
        await self.let.wait()
        await super().save_state_hashes(hashes)


async def test_nobody_waits_for_what_a_leaving_host_writes_down() -> None:
    store = Slow()
    leaving, heir = Host(store, plugin(), host_id="leaving"), Host(store, plugin(), host_id="heir")
    await leaving.start()
    await leaving.ask(Message(random_id(), "Add", "counter/1", "default", b'{"by":1}', "user:test", 0, "", "c"))
    stopping = asyncio.create_task(leaving.stop())
    async with asyncio.timeout(30):
        await store.asked.wait()
        await heir.start()
        await owns_all(heir)
        store.let.set()
        await stopping
        await heir.stop()
    assert [known.version for known in await store.state_hashes("default", "counter/1")] == [1]
