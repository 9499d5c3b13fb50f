"""A host forgets old messages by itself, by the time of the log."""

from __future__ import annotations

from events.store import Pruned
from gateway.keeping import Keeper
from infra.memory.store import MemoryStore
from tests.contract.store_harness import handled, put, write

DAY = 86_400_000_000


async def test_the_keeper_forgets_by_the_time_of_the_log() -> None:
    now = [1_700_000_000_000_000]
    store = MemoryStore(now=lambda: now[0])
    keeper = Keeper(store, lambda: (), 30)
    assert await keeper.round() == Pruned()
    await put(store, write("a/1", 0, handled=[handled(1)]))
    now[0] += 40 * DAY
    assert await keeper.round() == Pruned()
    await put(store, write("a/1", 1, handled=[handled(2)]))
    assert await keeper.round() == Pruned(expired=1)
    assert (await store.figures()).horizon == now[0] - 30 * DAY


async def test_the_keeper_starts_and_stops() -> None:
    for days in (0, 30):
        keeper = Keeper(MemoryStore(), lambda: range(64), days)
        await keeper.start()
        await keeper.stop()
