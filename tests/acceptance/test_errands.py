"""Effects, timers, tells and subscriptions while a host is struck: each once, in order, and no call made twice."""

from __future__ import annotations

from random import Random

import pytest

from actors.testing import run_virtual
from tests.acceptance.errands import run_errands
from tests.acceptance.world import FAULTS


@pytest.mark.parametrize("hosts", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_host_may_be_struck_at_any_call_to_the_store(fault: str, hosts: int):
    sound = run_virtual(run_errands({}, hosts=hosts))
    for at in range(0, len(sound.calls), hosts):
        struck = run_virtual(run_errands({at: fault}, hosts=hosts))
        assert not struck.faults, f"call {at} was never made"


def mixed(seed: int, *, number: int = 30, strikes: int = 6) -> None:
    random = Random(seed)
    hosts = random.randint(1, 3)
    faults = {random.randrange(500): random.choice(FAULTS) for _ in range(random.randint(1, strikes))}
    run_virtual(run_errands(faults, hosts=hosts, seed=seed, number=number))


@pytest.mark.parametrize("seed", range(8))
def test_several_faults_do_no_more_than_one(seed: int):
    mixed(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1500))
def test_faults_in_great_number(seed: int):
    mixed(seed, number=60, strikes=12)
