"""The operations of a script, sent to the hosts of a stage for as long as an attack lasts, and judged afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from random import Random
from time import monotonic
from typing import Any

import msgspec

from events.errors import DeadlineExceeded, KeyReused, Refused
from events.store import EventStore
from gateway.demo.plan import Step
from gateway.demo.traffic import Traffic, together
from gateway.proof import Check, witness
from gateway.torture import faults_nats
from gateway.torture.figures import LOST, Figures
from gateway.torture.proof import Asked, Heard, TortureProof, figures
from gateway.torture.real import PATIENCE, Stage
from gateway.torture.script import script

PAGE = 5000


class Waited(msgspec.Struct):
    """How long clients waited while a fault was there and healed, in seconds.

    `silence` is the longest time without any acknowledgement, `worst` the longest any operation took, from its first
    try (or the beginning of the fault) to its acknowledgement, the pauses of its client included.
    """

    fault: str
    silence: float = 0.0
    worst: float = 0.0


class Result(msgspec.Struct):
    """What an attack came to."""

    seed: int
    figures: Figures
    waited: list[Waited]
    tries: int
    seconds: float
    checks: list[Check]

    @property
    def passed(self) -> bool:
        """Whether every promise was kept."""
        return all(check.passed for check in self.checks)


class Load:
    """Clients that send `script(seed, operations)`, each operation to the hosts in turn until it is acknowledged.

    `copies` of each are sent, the later ones among others. `say` is told how it goes.
    """

    def __init__(self, stage: Stage, *, seed: int, operations: int = 100_000, width: int = 24, copies: int = 1) -> None:
        self.stage = stage
        self.seed = seed
        self.asked = Asked()
        self.count = 0
        """Acknowledgements so far."""
        self.waited: list[Waited] = []
        self._steps = script(seed, operations)
        self._random = Random(seed)
        self._width = width
        self._copies = copies
        self._counted = asyncio.Event()
        self._over = False
        self._clients = width
        self._fault: Waited | None = None
        self._last = self._since = 0.0

    async def run(self, attack: Callable[[], Awaitable[object]]) -> Result:
        """Send until the attack is over (or all is sent), wait until everything has ended, and judge."""
        began = monotonic()
        async with Traffic([host.url for host in self.stage.hosts], width=self._width, timeout=1.0) as traffic:

            async def attacking() -> None:
                try:
                    await attack()
                finally:
                    self._over = True

            steps = self._order()
            await together(attacking(), *(self._client(traffic, steps) for _ in range(self._width)))
            async with self.stage.store() as store:
                head = await self._ended(store)
                tallies = {
                    row["stream"]: (row["events"], row["numbers"]) for row in await traffic.rows("tallies", head)
                }
                balances = {row["account"]: row["balance"] for row in await traffic.rows("balances", head)}
                calls = self.stage.calls()
                checks = await witness(store, TortureProof(self.asked, calls, tallies, balances, await store.epochs()))
                checks.append(await self._bus(store, head))
            found = figures(self.asked, checks, faults=len(self.waited), events=head, calls=len(calls))
            return Result(self.seed, found, self.waited, traffic.tries, monotonic() - began, checks)

    async def acknowledged(self, more: int = 100) -> None:
        """Wait for so many acknowledgements more, or for the end. Raises TimeoutError."""
        goal = self.count + more
        async with asyncio.timeout(PATIENCE):
            while self.count < goal and self._clients:
                self._counted.clear()
                await self._counted.wait()

    @asynccontextmanager
    async def fault(self, name: str, settle: int = 60) -> AsyncGenerator[Waited]:
        """Around a fault: how long clients waited, until `settle` acknowledgements after it."""
        waited = self._fault = Waited(name)
        self._last = self._since = monotonic()
        yield waited
        # Who waits now is measured to the end of its wait.
        await self.acknowledged(settle)
        self._fault = None
        self.waited.append(waited)

    def _order(self) -> Iterator[Step]:
        late: list[Step] = []
        for step in self._steps:
            if self._over:
                break
            late += [step] * self._copies
            if self._copies > 1:
                self._random.shuffle(late)
            while len(late) > 10 * (self._copies - 1):
                yield late.pop()
        yield from late

    async def _client(self, traffic: Traffic, steps: Iterator[Step]) -> None:
        for step in steps:
            self.asked.send(step)
            began = monotonic()
            try:
                heard = Heard.of(await traffic.send(step))
            except Refused as refused:
                heard = Heard("refused", code=refused.reason_code)
            except KeyReused:
                heard = Heard("key-reused")
            self.asked.hear(step, heard)
            self._heard(began)
        self._clients -= 1
        self._counted.set()

    def _heard(self, began: float) -> None:
        self.count += 1
        self._counted.set()
        if self._fault is not None:
            now = monotonic()
            self._fault.silence = max(self._fault.silence, now - self._last)
            self._fault.worst = max(self._fault.worst, now - max(began, self._since))
            self._last = now

    async def _ended(self, store: EventStore) -> int:
        """Wait until nothing is owed any more, as the log says; returns its head. Raises DeadlineExceeded."""
        proof = TortureProof(self.asked, ())
        after, deadline = 0, monotonic() + PATIENCE
        while True:
            while events := await store.read(after, PAGE):
                for event in events:
                    proof.see(event)
                after = events[-1].position
            if not proof.owed:
                return after
            if monotonic() > deadline:
                raise DeadlineExceeded(
                    f"{proof.owed} things are still to happen after {PATIENCE:.0f} s", hint=f"seed {self.seed}"
                )
            await asyncio.sleep(0.05)

    async def _bus(self, store: EventStore, head: int) -> Check:
        check = Check("the facts on the bus are the log", f"{head:,} events", figure=LOST)
        found = await faults_nats.facts(self.stage.nats, head)
        after = 0
        while events := await store.read(after, PAGE):
            for event in events:
                there = found[event.position - 1] if event.position <= len(found) else "nothing"
                check.require(there == event.id, f"position {event.position} is {event.id}, on the bus {there}")
            after = events[-1].position
        check.require(len(found) == after, f"the log ends at {after}, the bus at {len(found)}")
        return check


def story(result: Result) -> list[dict[str, Any]]:
    """The figures, one line each for a log of figures."""
    lines: list[dict[str, Any]] = [
        {
            "case": f"unavailable: {waited.fault}",
            "silence_s": round(waited.silence, 2),
            "worst_s": round(waited.worst, 2),
        }
        for waited in result.waited
    ]
    return [
        *lines,
        {
            "case": "figures",
            "seed": result.seed,
            **msgspec.to_builtins(result.figures),
            "tries": result.tries,
            "seconds": round(result.seconds, 1),
        },
    ]
