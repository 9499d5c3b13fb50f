"""Which host folds which version of a projection."""

from __future__ import annotations

from events.address import DEFAULT_TENANT, partition_of
from events.placement import owners
from projections import assigned, singleton_address

NAMES = [f"p{n}" for n in range(50)]


def test_with_the_same_code_everywhere_it_is_the_owner_of_the_partition() -> None:
    hosts = {host: dict.fromkeys(NAMES, 1) for host in ("one", "two", "three")}
    owned_by = owners(tuple(hosts))
    for host in hosts:
        expected = [n for n in NAMES if owned_by[partition_of(DEFAULT_TENANT, singleton_address(n))] == host]
        assert assigned(host, hosts) == sorted(expected)


def test_every_version_runs_on_exactly_one_host_that_has_its_code() -> None:
    hosts = {"a": {"p": 1, "q": 1}, "b": {"p": 1, "q": 1}, "c": {"p": 2, "q": 1}, "d": {"p": 2, "q": 1, "r": 1}}
    runs = [(host, name) for host in hosts for name in assigned(host, hosts)]
    found = sorted((name, hosts[host][name]) for host, name in runs)
    assert found == [("p", 1), ("p", 2), ("q", 1), ("r", 1)]


def test_a_host_that_is_not_alive_runs_nothing() -> None:
    assert assigned("gone", {"a": {"p": 1}}) == []
    assert assigned("gone", {}) == []
