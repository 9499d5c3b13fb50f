"""Decisions that hang, kill their process, grow without bound or raise, in real processes that are started again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from events.errors import NotFound, Parked, Unavailable
from gateway.cli.find import Place
from gateway.cli.http import Api
from gateway.cli.retrying import retrying
from gateway.torture.real import Stage
from gateway.torture.real_load import Load
from tests.acceptance.test_real_faults import judged

pytestmark = pytest.mark.timeout(300)

WORKSPACE = Path(__file__).parent / "poison"
PATIENCE = 90.0


@asynccontextmanager
async def kept(stage: Stage) -> AsyncIterator[list[int]]:
    """Hosts that end are started again, as a supervisor does; with what statuses they ended."""
    ends: list[int] = []

    async def keep(number: int) -> None:
        host = stage.hosts[number]
        while True:
            assert host.process is not None
            ends.append(await host.process.wait())
            host.start()

    keepers = [asyncio.create_task(keep(number)) for number in range(len(stage.hosts))]
    try:
        yield ends
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)


async def parked(api: Api, address: str) -> str:
    """Wait until an actor is parked; says why."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(Unavailable, NotFound):
                found = await api.get(f"/v1/actors/{address}")
                if found["parked"]:
                    return found["parked"]
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("hosts", [1, pytest.param(2, marks=pytest.mark.long)])
async def test_poison_parks_its_actor_alone_and_everybody_else_goes_on(stage: Stage, hosts: int):
    limits = {"THESPIS_HANG_AFTER": "1.5", "THESPIS_GROW_LIMIT": "300000000"}
    await stage.add(hosts, WORKSPACE, limits)
    load = Load(stage, seed=8)
    reasons: dict[str, str] = {}

    async def attack() -> None:
        async with kept(stage) as ends, Api(Place(stage.hosts[0].url), timeout=30) as api:

            async def post(path: str, body: dict[str, object], key: str) -> dict[str, object]:
                return await retrying(lambda: api.post(path, body, key=key), patience=PATIENCE, reached=True)

            for how in ("raise", "die", "hang", "grow"):
                await load.acknowledged(50)
                async with load.fault(f"a decide that makes it {how}"):
                    await post(
                        "/v1/actors/trapper/one/tell",
                        {"message": "Set", "data": {"trap": f"trap/{how}", "how": how}},
                        how,
                    )
                    reasons[how] = await parked(api, f"trap/{how}")
                with pytest.raises(Parked):
                    await post(f"/v1/actors/trap/{how}/ask", {"message": "Spring", "data": {"how": "well"}}, f"{how}-2")
            # With the message skipped, the actor goes on.
            for how in reasons:
                await post(
                    f"/v1/actors/trap/{how}/resume", {"reason": "the trap is taken apart", "skip": True}, f"{how}-3"
                )
                answer = await post(
                    f"/v1/actors/trap/{how}/ask", {"message": "Spring", "data": {"how": "well"}}, f"{how}-4"
                )
                assert answer["outcome"] == "handled"
            # A host may take over and die before the one that died last has come back and said so.
            assert set(ends) == {-9, 75, 76}
            assert all(3 <= count <= 2 + hosts for count in Counter(ends).values()), ends

    judged(await load.run(attack))
    assert reasons == {"raise": "it cannot handle a message"} | dict.fromkeys(
        ("die", "hang", "grow"), "it takes down the process that handles it"
    )
