"""A torture in memory: a script, strikes, and the verdict. The same arguments give the same run, step by step."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from random import Random
from typing import Any

from msgspec import Struct

from events.address import DEFAULT_TENANT, PARTITIONS
from events.errors import KeyExpired, KeyReused, NotFound, ThespisError
from gateway.demo.plan import Step
from gateway.proof import Check, verdict, witness
from gateway.torture.figures import LOST, REORDERED, Figures
from gateway.torture.kinds import plugin_of
from gateway.torture.outside import MemoryOutside
from gateway.torture.proof import Asked, Heard, TortureProof, figures
from gateway.torture.script import Mixture, script
from projections import Query
from tests.acceptance.faults import strikes as faults
from tests.acceptance.operating import Operator
from tests.acceptance.ordeal import Ordeal
from tests.acceptance.shrink import shrink, snippet
from tests.acceptance.steps import run_stepped
from tests.acceptance.world import Adapters, World

WIDTH = 64
"""Operations under way at the same time."""
MIXTURE = Mixture(chokes=0.002)


class Result(Struct):
    """What came of it."""

    figures: Figures
    calls: int
    steps: int
    checks: list[Check]

    @property
    def failed(self) -> list[str]:
        """The checks that failed, in lines."""
        return verdict(check for check in self.checks if not check.passed)


class Torture:
    """One run, inside the loop."""

    def __init__(self, ordeal: Ordeal, adapters: Adapters | None = None) -> None:
        self._ordeal = ordeal
        self._outside = MemoryOutside()
        self.world = World(plugin_of(self._outside), ordeal.strikes, ordeal.seed, hosts=ordeal.hosts, adapters=adapters)
        self._asked = Asked()
        self._trouble: list[str] = []

    async def run(self) -> Result:
        """Send everything, wait until everything has ended, and judge it."""
        operator = Operator(self.world)
        try:
            try:
                async with asyncio.timeout(self._ordeal.patience):
                    await self.world.start()
                    operator.start()
                    await self._send(self._ordeal.steps)
                    await self._ended()
                    await self._send(self._ordeal.late)
                    await self._settled()
            except TimeoutError:
                self._trouble.append(f"not all was done after {self._ordeal.patience:.0f} s")
            return await self._judge()
        finally:
            await self.world.stop()

    async def _send(self, steps: Sequence[Step]) -> None:
        """So many at a time."""
        waiting = iter(steps)

        async def client() -> None:
            for step in waiting:
                self._asked.send(step)
                try:
                    heard = Heard.of(await self.world.ask(step))
                except KeyReused:
                    heard = Heard("key-reused")
                except KeyExpired:
                    heard = Heard("expired")
                except ThespisError as error:
                    self._trouble.append(f"{step.to} {step.key}: {error.code}: {error}")
                    continue
                self._asked.hear(step, heard)

        clients = [asyncio.ensure_future(client()) for _ in range(WIDTH)]
        try:
            await asyncio.gather(*clients)
        finally:
            for one in clients:
                one.cancel()

    async def _ended(self) -> None:
        """Everything that was promised has happened."""
        seen, after = TortureProof(self._asked, ()), 0
        while True:
            for event in await self.world.log.read(after, 10_000):
                seen.see(event)
                after = event.position
            if after == await self.world.log.head() and not seen.owed:
                return
            await asyncio.sleep(0.1)

    async def _settled(self) -> None:
        """Nothing waits in the store, and the projections are where the log is."""
        while await self._waiting() or await self._behind():
            await asyncio.sleep(0.1)

    async def _waiting(self) -> list[str]:
        log, all = self.world.log, range(PARTITIONS)
        mails, _ = await log.mail(all, 0, 1000)
        return [
            *(f"mail {mail.type} for {mail.stream}" for mail in mails),
            *(f"effect {effect.kind} of {effect.stream}" for effect in await log.effects(all, "", 1000)),
            *(f"timer {timer.name} of {timer.stream}" for timer in await log.timers(all, 1 << 62, 1000)),
        ]

    async def _behind(self) -> list[str]:
        head = await self.world.log.head()
        builds = await self.world.models.builds()
        behind = [f"{build.projection} is at {build.cursor} of {head}" for build in builds if build.cursor < head]
        live = {build.projection for build in builds if build.state == "live"}
        behind += [f"no {each.name} is live" for each in self.world.plugin.projections if each.name not in live]
        stream = self.world.broker.stream
        if stream is None or stream.last != head:
            behind.append(f"the bus is at {stream and stream.last} of {head}")
        elif self.world.broker.ids() != [event.id for event in await self.world.log.read(0, 1 << 62)]:
            behind.append("the bus holds something else than the log")
        return behind

    async def _judge(self) -> Result:
        world = self.world
        done = Check("everything was done in time, and nothing waits", figure=LOST)
        for trouble in [*self._trouble, *await self._waiting(), *await self._behind()]:
            done.fault(trouble)
        proof = TortureProof(
            self._asked,
            self._outside.calls,
            {row["stream"]: (row["events"], row["numbers"]) for row in await self._rows("tallies")},
            {row["account"]: row["balance"] for row in await self._rows("balances")},
            await world.log.epochs(),
        )
        checks = [done, *await witness(world.log, proof), await self._facts()]
        found = figures(
            self._asked, checks, faults=world.struck, events=await world.log.head(), calls=len(self._outside.calls)
        )
        return Result(found, world.calls, world.steps, checks)

    async def _facts(self) -> Check:
        check = Check("the facts on the bus are the log, event by event", figure=REORDERED)
        log = [event.id for event in await self.world.log.read(0, 1 << 62)]
        facts = self.world.broker.ids()
        check.require(facts == log, f"{len(facts)} facts, {len(log)} events; {set(facts) - set(log)}")
        return check

    async def _rows(self, projection: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        after: Any = None
        while True:
            try:
                page = await self.world.models.query(
                    projection, Query(DEFAULT_TENANT, None, [], limit=1000, after=after)
                )
            except NotFound:
                return rows  # it is named among what is behind
            rows += page.rows
            after = page.next
            if after is None:
                return rows


def mixed(
    seed: int,
    operations: int,
    *,
    hosts: int,
    strikes: int,
    copies: float = 0.2,
    calls: float = 5.0,
    steps: float = 28.0,
    mixture: Mixture = MIXTURE,
) -> Ordeal:
    """A script with copies, some at once and some at the very end, and strikes of all kinds. `calls` and `steps` are
    about how many there are for each operation."""
    draw = Random(f"ordeal {seed}")
    todo: list[Step] = []
    late: list[Step] = []
    for step in script(seed, operations, mixture):
        todo.append(step)
        if draw.random() < copies:
            todo.insert(len(todo) - draw.randrange(min(8, len(todo))), step)
        if draw.random() < copies / 2:
            late.append(step)
    draw.shuffle(late)
    struck = faults(draw, strikes, calls=int(operations * calls), steps=int(operations * steps))
    return Ordeal(todo, struck, hosts, seed, late)


def torture(ordeal: Ordeal, adapters: Adapters | None = None) -> Result:
    """Run it."""
    random.seed(ordeal.seed)  # what hosts draw for themselves, as how long to wait before another try
    return run_stepped(Torture(ordeal, adapters).run())


def sound(ordeal: Ordeal) -> Result:
    """Run it, and fail unless all figures are 0: with as little as is needed to see it fail."""
    result = torture(ordeal)
    if result.failed:
        short = shrink(ordeal, lambda smaller: bool(torture(smaller).failed))
        lines = [f"seed {ordeal.seed}, {ordeal.hosts} hosts", *result.failed, "in short:", snippet(short)]
        raise AssertionError("\n".join([*lines, *torture(short).failed]))
    return result
