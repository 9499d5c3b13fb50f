"""Every fault done to real processes under a load of everything an actor can ask for; nothing is lost or doubled."""

from __future__ import annotations

import json
from random import Random

import pytest

from gateway.proof import verdict
from gateway.torture.faults import FAULTS
from gateway.torture.real import Stage
from gateway.torture.real_load import Load, Result, story

pytestmark = pytest.mark.timeout(300)


def judged(result: Result) -> None:
    for line in story(result):
        print(json.dumps(line))
    lines = verdict(result.checks)
    assert result.passed, f"seed {result.seed}\n" + "\n".join(lines)
    assert result.figures.sound


async def under(stage: Stage, names: list[str], *, hosts: int, seed: int, copies: int = 1) -> None:
    """Hosts under load, these faults one after the other, and the proof."""
    await stage.add(hosts)
    load = Load(stage, seed=seed, copies=copies)
    random = Random(seed)

    async def attack() -> None:
        for name in names:
            await load.acknowledged(random.randint(1, 60))
            async with load.fault(name):
                await FAULTS[name](stage, random)

    judged(await load.run(attack))


ORDER = sorted(FAULTS)
"""What is left out of one part is in another."""


@pytest.mark.parametrize("hosts", [1, 2, 3])
async def test_every_fault_one_after_the_other(stage: Stage, hosts: int):
    names = Random(hosts).sample(ORDER, len(ORDER))
    await under(stage, names, hosts=hosts, seed=hosts)
