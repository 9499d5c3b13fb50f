"""How long actors are without an owner: after SIGKILL, and after SIGTERM. Measured for each partition on its own."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from statistics import median
from time import monotonic

import pytest

from events.address import DEFAULT_TENANT, PARTITIONS, partition_of
from events.errors import Unavailable
from gateway.cli.find import Place
from gateway.cli.http import Api
from gateway.demo.host import HostProcess
from gateway.torture.real import Stage, owned, owns

pytestmark = pytest.mark.timeout(300)


def addresses() -> dict[int, str]:
    """One clerk for each partition."""
    found: dict[int, str] = {}
    for n in count():
        found.setdefault(partition_of(DEFAULT_TENANT, f"clerk/p{n}"), f"clerk/p{n}")
        if len(found) == PARTITIONS:
            return found
    raise AssertionError


class Probes:
    """Somebody asks an actor of every partition all the time, at a host that stays."""

    def __init__(self, host: HostProcess) -> None:
        self._host = host
        self._numbers = count(1_000_000)
        self.gaps: dict[int, float] = {}
        """By partition: the longest time between two answers, of which the later came after `measure`."""
        self._seen: dict[int, float] = {}

    def measure(self) -> None:
        """Begin anew."""
        self.gaps.clear()

    async def all_answered(self) -> None:
        """Wait until every partition has answered from now on."""
        mark = monotonic()
        async with asyncio.timeout(60):
            while len(self._seen) < PARTITIONS or min(self._seen.values()) < mark:
                await asyncio.sleep(0.02)

    async def run(self, over: asyncio.Event) -> None:
        async with Api(Place(self._host.url), timeout=10) as api:
            await asyncio.gather(*(self._probe(api, p, address, over) for p, address in addresses().items()))

    async def _probe(self, api: Api, partition: int, address: str, over: asyncio.Event) -> None:
        last = monotonic()
        while not over.is_set():
            number = next(self._numbers)
            try:
                await api.post(f"/v1/actors/{address}/ask", {"message": "Do", "data": {"n": number}}, timeout=1.0)
            except Unavailable:
                pass
            else:
                now = monotonic()
                self.gaps[partition] = max(self.gaps.get(partition, 0.0), now - last)
                last = self._seen[partition] = now
            await asyncio.sleep(0.02)


class Gaps:
    """What was found: the gaps, in seconds, of each partition that changed its owner."""

    def __init__(self) -> None:
        self.left: list[float] = []
        self.joined: list[float] = []


async def shared(one: HostProcess, other: HostProcess) -> int:
    """Wait until two hosts share the partitions; says how many the other has."""
    async with asyncio.timeout(60):
        while True:
            has = await owned(other)
            if has and await owned(one) + has == PARTITIONS:
                return has
            await asyncio.sleep(0.02)


async def measure(stays: HostProcess, goes: HostProcess, end: str, gaps: Gaps) -> None:
    """One host goes, and comes back."""
    probes, over = Probes(stays), asyncio.Event()
    probing = asyncio.create_task(probes.run(over))
    try:
        await probes.all_answered()
        probes.measure()
        had = PARTITIONS - await owned(stays)
        await (goes.kill() if end == "SIGKILL" else goes.stop())
        await owns(stays, PARTITIONS)
        await probes.all_answered()
        gaps.left += sorted(probes.gaps.values())[-had:]
        goes.start()
        await goes.ready()
        probes.measure()
        has = await shared(stays, goes)
        await probes.all_answered()
        gaps.joined += sorted(probes.gaps.values())[-has:]
    finally:
        over.set()
        await probing


def said(name: str, gaps: list[float]) -> None:
    figures = {"p50_s": round(median(gaps), 3), "max_s": round(max(gaps), 3)}
    print(json.dumps({"case": name, "partitions": len(gaps), **figures}))


@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("times", [pytest.param(1), pytest.param(8, marks=pytest.mark.long)])
async def test_how_long_actors_are_not_answered_for_when_a_host_goes_or_comes(stage: Stage, end: str, times: int):
    first, second = await stage.add(2)
    await shared(first, second)
    gaps = Gaps()
    for turn in range(times):
        stays, goes = (first, second) if turn % 2 else (second, first)
        await measure(stays, goes, end, gaps)
    said("takeover after SIGKILL" if end == "SIGKILL" else "hand-over after SIGTERM", gaps.left)
    said("partitions given to a host that joins", gaps.joined)
