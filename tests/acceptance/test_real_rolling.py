"""Old and new code side by side: hosts are replaced one by one under load, and the new code writes a new event."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from itertools import count
from pathlib import Path
from random import Random

import msgspec
import pytest

from events.errors import Unavailable, Unserved
from gateway.cli.find import Place
from gateway.cli.http import Api
from gateway.demo.host import HostProcess
from gateway.proof import LogProof, verdict, witness
from gateway.torture.real import Stage, owned, owns

pytestmark = pytest.mark.timeout(240)

HERE = Path(__file__).parent / "rolling"
TALLIES = [f"tally/{n}" for n in range(30)]
CLIENTS = 12
PATIENCE = 60.0


class Counting:
    """Clients that count on tallies, at any host that runs, and insist; what they were told."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._numbers = count(1)
        self._over = False
        self._random = Random(1)
        self.told: defaultdict[str, dict[int, int]] = defaultdict(dict)
        """By tally: the total each acknowledgement named, with what was counted."""
        self.codes: Counter[str] = Counter()
        self.unserved: Counter[str] = Counter()
        """Why tallies were not served, as clients were told."""

    async def run(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(CLIENTS)))

    def stop(self) -> None:
        self._over = True

    async def _client(self) -> None:
        while not self._over:
            number = next(self._numbers)
            tally, by = self._random.choice(TALLIES), self._random.randint(1, 9)
            reply = await self._insist(tally, by, f"count-{number}")
            assert reply["total"] not in self.told[tally], "two acknowledgements name the same total"
            self.told[tally][reply["total"]] = by
            self.codes[reply["code"]] += 1

    async def _insist(self, tally: str, by: int, key: str) -> dict[str, object]:
        while True:
            host = self._random.choice([host for host in self._stage.hosts if host.running])
            try:
                async with Api(Place(host.url), timeout=5) as api:
                    answer = await api.post(
                        f"/v1/actors/{tally}/ask", {"message": "Count", "data": {"by": by}}, key=key, timeout=1.0
                    )
                return answer["reply"]
            except Unserved as error:
                self.unserved[error.message] += 1
            except Unavailable:
                pass
            await asyncio.sleep(0.05)

    async def counted(self, more: int, code: str | None = None) -> None:
        """Wait for so many acknowledgements more, of that code if it is given."""
        goal = (self.codes[code] if code else self.codes.total()) + more
        async with asyncio.timeout(PATIENCE):
            while (self.codes[code] if code else self.codes.total()) < goal:
                await asyncio.sleep(0.02)


async def replaced(stage: Stage, old: HostProcess) -> HostProcess:
    """A host with old code goes, one with new code comes."""
    assert await old.stop() == 0
    (new,) = await stage.add(1, HERE / "new")
    await owns(new)
    return new


async def test_hosts_are_replaced_one_by_one_by_new_code_with_a_new_event_version(stage: Stage):
    first, second = await stage.add(2, HERE / "old")
    counting = Counting(stage)
    clients = asyncio.create_task(counting.run())
    try:
        print("old code")
        await counting.counted(150)
        print("new code beside it")
        newer = await replaced(stage, second)
        await counting.counted(100, "new")
        # The new host dies: what it has written cannot be read by the one that is left, which says so and waits.
        print(counting.codes, "the new host dies")
        await newer.kill()
        await owns(first, 64)
        async with asyncio.timeout(PATIENCE):
            while counting.unserved.total() < 3:
                await asyncio.sleep(0.02)
        print(counting.unserved, "the new host comes back")
        newer.start()
        await newer.ready()
        await owns(newer)
        # What new code wrote and now belongs to old code waits: how many of the clients that is, chance decides.
        print(counting.codes, "the last old host goes")
        newest = await replaced(stage, first)
        await counting.counted(200, "new")
        async with asyncio.timeout(PATIENCE):
            while await owned(newer) + await owned(newest) != 64:  # some may be on their way
                await asyncio.sleep(0.02)
        counting.stop()
        await clients
    finally:
        clients.cancel()
        await asyncio.gather(clients, return_exceptions=True)
    assert all("Counted (schema 2)" in why for why in counting.unserved), counting.unserved
    assert b"stays unserved" in (first.directory / "host.log").read_bytes()
    async with stage.store() as store:
        lines = verdict(check for check in await witness(store, LogProof()) if not check.passed)
        assert not lines, "\n".join(lines)
        for tally in TALLIES:
            events = [event for event in await store.read_stream("default", tally) if event.type == "Counted"]
            total, told = 0, counting.told[tally]
            newest_schema = 1
            for event in events:
                data = msgspec.json.decode(event.data)
                by = data["by"] if event.schema == 1 else data["amount"]
                total += by
                assert told.pop(total) == by
                assert event.schema >= newest_schema, f"{tally}: old code wrote after new code"
                newest_schema = event.schema
            assert not told, f"{tally}: acknowledged and not in the log: {told}"
        async with Api(Place(newest.url)) as api:
            shown = await api.get(f"/v1/actors/{TALLIES[0]}")
    assert shown["state"]["units"] == ["piece"]
