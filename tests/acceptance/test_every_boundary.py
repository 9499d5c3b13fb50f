"""A host struck at every call to the store, one after the other: nothing is lost, doubled or reordered."""

from __future__ import annotations

from random import Random

import pytest

from actors.testing import run_virtual
from tests.acceptance.ledger_load import run_load
from tests.acceptance.world import FAULTS


@pytest.mark.parametrize("fault", FAULTS)
def test_a_host_may_be_struck_at_any_call_to_the_store(fault: str):
    sound = run_virtual(run_load({}))
    assert len(sound.calls) > 50
    for at in range(len(sound.calls)):
        struck = run_virtual(run_load({at: fault}))
        assert not struck.faults, f"call {at} was never made"


@pytest.mark.parametrize("fault", FAULTS)
def test_one_of_two_hosts_may_be_struck_while_tells_go_between_them(fault: str):
    sound = run_virtual(run_load({}, hosts=2))
    for at in range(0, len(sound.calls), 2):
        struck = run_virtual(run_load({at: fault}, hosts=2))
        assert not struck.faults, f"call {at} was never made"


def mixed(seed: int, *, transfers: int = 40, strikes: int = 6) -> None:
    """Several faults of any kind, one to three hosts, every message sent twice at once."""
    random = Random(seed)
    hosts = random.randint(1, 3)
    faults = {random.randrange(400): random.choice(FAULTS) for _ in range(random.randint(1, strikes))}
    run_virtual(run_load(faults, hosts=hosts, seed=seed, transfers=transfers, accounts=8, copies=2))


@pytest.mark.parametrize("seed", range(8))
def test_several_faults_and_duplicates_do_no_more_than_one(seed: int):
    mixed(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1500))
def test_faults_in_great_number(seed: int):
    mixed(seed, transfers=100, strikes=12)
