"""A history worth looking at: accounts, transfers, events from outside, a parked actor, a fork and a fork of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from events.address import DEFAULT_TENANT
from gateway.examples.ledger.account import Deposit, Open, Withdraw
from gateway.examples.ledger.transfer import Transfer
from gateway.examples.ledger.workspace import plugin
from infra.memory.store import MemoryStore
from infra.memory.system import System, run_system

T = TypeVar("T")


async def live(system: System) -> None:
    for number in range(1, 6):
        await system.ask(f"account/{number}", Open(100))
        await system.publish("/shop", str(number), "Sold", {"price": number, "text": "two\nlines"})
    for number in range(1, 5):
        await system.ask(f"transfer/{number}", Transfer(f"account/{number}", f"account/{number + 1}", 30 * number))
    await system.settle()
    for _ in range(150):
        await system.ask("account/1", Deposit(1))
    host = system.hosts[0]
    await host.fork(DEFAULT_TENANT, "account/1", 100, "account/1b", "user:ada")
    await system.ask("account/1b", Withdraw(7))
    await host.fork(DEFAULT_TENANT, "account/1b", 102, "account/1c", "user:ada")
    await host.fork(DEFAULT_TENANT, "account/1b", 50, "account/1d", "user:ada")
    await system.ask("account/1c", Deposit(9))
    await host.park(DEFAULT_TENANT, "account/2", "user:ada", "looks odd")
    await system.settle()


def with_history(script: Callable[[MemoryStore], Awaitable[T]]) -> T:
    """Run a script against the store after all that; every host has left, and noted its states as it went."""

    async def lived(system: System) -> T:
        await live(system)
        for host in list(system.hosts):
            await system.stop_host(host)
        return await script(system.store)

    return run_system(plugin, lived, seed=7)
