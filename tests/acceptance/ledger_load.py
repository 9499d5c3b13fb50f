"""The ledger's traffic in memory, under faults, and its proof."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from events.envelope import Answer
from gateway.demo.plan import Plan, Step, plan
from gateway.demo.proof import LedgerProof
from gateway.examples.ledger.workspace import plugin
from tests.acceptance.world import PATIENCE, World, prove


async def run_load(
    faults: dict[int, str],
    *,
    hosts: int = 1,
    seed: int = 1,
    transfers: int = 6,
    accounts: int = 4,
    copies: int = 1,
) -> World:
    """Run a ledger under faults until everything is done, and prove it."""
    todo = plan(seed, transfers, accounts)
    world = World(lambda _wire: plugin, faults, seed)
    async with asyncio.timeout(PATIENCE):
        await world.start(hosts)
        await _send(world, todo.opening)
        await _send(world, todo.closing)
        deposits, _ = await asyncio.gather(
            _deposit(world, transfers, seed, accounts), _send(world, todo.transfers, todo, copies)
        )
        await _ended(world, todo)
    faulty = await prove(world, LedgerProof(todo.asked))
    taken = len(await world.store.read(0, 1_000_000, ["Deposited"]))
    if taken != deposits + accounts:
        faulty.append(f"{deposits + accounts} deposits were acknowledged, {taken} are in the log")
    assert not faulty, f"with {faults} on {hosts} hosts, seed {seed}:\n" + "\n".join(faulty)
    return world


async def _send(world: World, steps: Sequence[Step], todo: Plan | None = None, copies: int = 1) -> None:
    def asking(step: Step) -> Any:
        def told(answer: Answer) -> None:
            assert answer.outcome == "handled", answer
            if todo is not None:
                todo.asked[step.to].positions.append(answer.position)

        return world.ask(step, told, world.random.uniform(0.0, 1.0))

    await asyncio.gather(*(asking(step) for step in steps for _ in range(copies)))


async def _deposit(world: World, number: int, seed: int, accounts: int) -> int:
    """While transfers go on, money comes from outside, too; returns how often it was taken."""
    taken: list[Answer] = []
    steps = [
        Step(f"account/{number % accounts + 1:05d}", "Deposit", {"amount": 7}, f"deposit-{number}")
        for number in range(number)
    ]
    await asyncio.gather(*(world.ask(step, taken.append, world.random.uniform(0.0, 8.0)) for step in steps))
    return sum(answer.outcome == "handled" for answer in taken)


async def _ended(world: World, todo: Plan) -> None:
    """Wait until every transfer ended."""
    seen = LedgerProof(todo.asked)
    after = 0
    while True:
        for event in await world.store.read(after, 10_000):
            seen.see(event)
            after = event.position
        if sum(seen.ends.values()) == len(todo.transfers):
            return
        await asyncio.sleep(0.1)
