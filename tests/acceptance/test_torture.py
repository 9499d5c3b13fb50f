"""Operations of every kind in number, with copies, under many faults of any kind at once."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.torture.figures import Figures
from tests.acceptance.faults import Strike
from tests.acceptance.torture import mixed, sound


@pytest.mark.parametrize("hosts", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_doubled_reordered_or_repeated(seed: int, hosts: int):
    result = sound(mixed(seed, 1_000, hosts=hosts, strikes=20))
    assert result.figures.faults > 10
    print(result.figures)


@pytest.mark.long
@pytest.mark.parametrize("hosts", [1, 2, 3])
@pytest.mark.parametrize("block", range(34))
def test_a_million_operations(block: int, hosts: int):
    """In all 1,020,000 and their copies."""
    total = Figures()
    for seed in range(1000 + 5 * block, 1005 + 5 * block):
        total += sound(mixed(seed, 2_000, hosts=hosts, strikes=20)).figures
    assert total.sound
    print(total)


@pytest.mark.parametrize("at", [2_000, 5_000, 8_000])
def test_the_bus_heals_when_it_is_rolled_back_and_somebody_else_publishes(at: int):
    quiet = mixed(7, 400, hosts=2, strikes=0)
    sound(replace(quiet, strikes=[Strike("step", at, "rolled back"), Strike("step", at + 1, "foreign")]))
