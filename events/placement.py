"""Which host should own which partition: rendezvous hashing with equal shares, the same wherever it is reckoned."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from events.address import PARTITIONS


@lru_cache(maxsize=64)
def owners(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """The owner of each partition, given the hosts that are alive in any order; empty when there are none.

    Shares differ by one at most, and few partitions beyond those of a host that joins or leaves change hands.
    """
    if not hosts:
        return ()
    share, rest = divmod(PARTITIONS, len(hosts))
    held = dict.fromkeys(hosts, 0)
    found: dict[int, str] = {}
    for _, partition, host in sorted(((_rank(h, p), p, h) for h in hosts for p in range(PARTITIONS)), reverse=True):
        if partition in found or held[host] > share or (held[host] == share and not rest):
            continue
        if held[host] == share:  # one more than the others, for as many hosts as there are such partitions
            rest -= 1
        held[host] += 1
        found[partition] = host
    return tuple(found[partition] for partition in range(PARTITIONS))


def _rank(host: str, partition: int) -> bytes:
    """Not a CRC: those of two hosts differ by the same bits for all partitions, so that one got half of all."""
    return blake2b(f"{host}:{partition}".encode(), digest_size=8).digest()
