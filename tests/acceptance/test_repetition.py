"""The same message again, at once, out of order, to another host: it counts once and is answered alike."""

from __future__ import annotations

import aiohttp
import pytest

from gateway.demo.traffic import Traffic
from tests.acceptance.cluster import Cluster, Load, owns

pytestmark = pytest.mark.timeout(120)


async def test_duplicates_in_any_order_get_the_first_answer_on_any_host(cluster: Cluster):
    first, second = await cluster.add(2)
    load = Load(cluster, copies=3)

    async def attack() -> None:
        await load.acknowledged(300)
        await first.kill()
        await owns(second, 64)
        await load.acknowledged(300)

    await load.run(attack)
    assert {len(answers) for answers in load.answers.values()} == {3}
    async with Traffic([second.url]) as traffic:
        await traffic.run(load.sent, lambda step, answer: load.answers[step.to].append(answer))
    for answers in load.answers.values():
        assert answers[-1]["duplicate"]
        assert len({(a["id"], a["position"], a["version"], a["reply"]["status"]) for a in answers}) == 1, answers


async def test_another_body_under_the_same_key_is_a_conflict_and_changes_nothing(cluster: Cluster):
    (host,) = await cluster.add(1)
    url = f"{host.url}/v1/actors/account/ada/ask"
    async with aiohttp.ClientSession(headers={"Idempotency-Key": "one"}) as session:
        for deposit, status in ((5, 200), (6, 409), (5, 200)):
            body = {"message": "Open", "data": {"deposit": deposit}}
            async with session.post(url, json=body) as response:
                assert response.status == status
                found = await response.json()
            if status == 409:
                assert found["code"] == "key-reused"
            else:
                assert found["reply"] == {"balance": 5}
        async with session.get(f"{host.url}/v1/actors/account/ada") as response:
            assert (await response.json())["state"]["balance"] == 5
