"""Which host folds what: each version of a projection on one of the hosts that have its code."""

from __future__ import annotations

from collections.abc import Mapping

from events.address import DEFAULT_TENANT, partition_of
from events.placement import owners

Versions = Mapping[str, int]
"""What a host can fold: the version of each projection of its code, by name."""


def singleton_address(name: str) -> str:
    """The address that stands for a projection: its partition says where it runs, its stream holds its switches."""
    return f"system/projection-{name}"


def assigned(host: str, hosts: Mapping[str, Versions]) -> list[str]:
    """The projections a host has to run, given those alive (itself among them, or it runs none).

    With the same code everywhere that is the owner of the partition of the projection's address. While hosts have
    different versions of a projection, each version runs on the host that would be the owner if there were only hosts
    of that version: so the old rows are kept up to date while the new ones are built. That two do the same for a
    moment is harmless.
    """
    mine = hosts.get(host, {})
    return sorted(
        name
        for name, version in mine.items()
        if _owner(name, [h for h in hosts if hosts[h].get(name) == version]) == host
    )


def _owner(name: str, hosts: list[str]) -> str:
    return owners(tuple(hosts))[partition_of(DEFAULT_TENANT, singleton_address(name))]
