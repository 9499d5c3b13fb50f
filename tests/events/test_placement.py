"""Which host should own which partition."""

from __future__ import annotations

from random import Random

import pytest

from events.address import PARTITIONS
from events.placement import owners

THREE = "2333332132313312231213331213312322321222132121211113112323121121"
"""Hosts of different versions of the code have to agree."""


def some_hosts(count: int) -> tuple[str, ...]:
    random = Random(count)
    return tuple(f"{random.getrandbits(128):032x}" for _ in range(count))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 9, 16, 33, 63, 64, 65, 100])
def test_every_partition_has_one_owner_and_shares_differ_by_one_at_most(count: int) -> None:
    hosts = some_hosts(count)
    found = owners(hosts)
    assert len(found) == PARTITIONS
    held = [found.count(host) for host in hosts]
    assert sum(held) == PARTITIONS
    assert max(held) - min(held) <= 1


def test_it_is_the_same_in_whatever_order_the_hosts_are_named_and_does_not_change_between_versions() -> None:
    hosts = some_hosts(5)
    assert owners(hosts) == owners(hosts[::-1])
    assert "".join(host[-1] for host in owners(("host-1", "host-2", "host-3"))) == THREE


def test_nobody_owns_anything_while_nobody_is_alive() -> None:
    assert owners(()) == ()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8, 16])
def test_few_partitions_move_when_a_host_joins_or_leaves(count: int) -> None:
    hosts = some_hosts(count + 1)
    before, after = owners(hosts[:-1]), owners(hosts)
    moved = sum(old != new for old, new in zip(before, after, strict=True))
    assert PARTITIONS // (count + 1) <= moved <= PARTITIONS / (count + 1) + 6
