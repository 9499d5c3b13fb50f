"""A host struck at a call to the log or the read models, or between two awaits: nothing is lost, doubled, reordered or
tried twice. The usual run draws places by a fixed seed, the long one goes through all, one after the other."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest

from tests.acceptance.faults import AT_CALLS, AT_STEPS, Strike
from tests.acceptance.small import struck
from tests.acceptance.torture import sound

HOSTS = (1, 2, 3)


@cache
def places(on: str, hosts: int) -> int:
    """How many places there are."""
    result = sound(struck(hosts))
    return result.calls if on == "call" else result.steps


def drawn(on: str, fault: str, hosts: int, one_in: int) -> list[int]:
    """Some of the places, always the same, others for each fault: one of every so many neighbours."""
    draw = Random(f"{on} {fault} {hosts}")
    count = places(on, hosts)
    return [draw.randrange(at, min(at + one_in, count)) for at in range(hosts, count, one_in)]


@pytest.mark.parametrize("hosts", HOSTS[:2])
@pytest.mark.parametrize("fault", AT_CALLS)
def test_a_host_may_be_struck_at_a_call_to_the_log_or_the_read_models(fault: str, hosts: int):
    for at in drawn("call", fault, hosts, 12):
        sound(struck(hosts, Strike("call", at, fault)))


@pytest.mark.parametrize("hosts", HOSTS[:2])
@pytest.mark.parametrize("fault", AT_STEPS)
def test_a_host_may_be_struck_between_two_awaits(fault: str, hosts: int):
    for at in drawn("step", fault, hosts, 30 if fault == "killed" else 120):
        sound(struck(hosts, Strike("step", at, fault)))


LATER = ["killed", "frozen", "cut off"]


@pytest.mark.parametrize("first", ["stopped", "killed", "frozen"])
@pytest.mark.parametrize("second", LATER)
def test_a_host_may_be_struck_while_another_one_goes_and_a_third_takes_over(first: str, second: str):
    for after in Random(f"{first} {second}").sample(range(1, 400), 5):
        sound(struck(2, Strike("step", 250, first), Strike("step", 250 + after, second)))


@pytest.mark.long
@pytest.mark.parametrize("hosts", HOSTS)
@pytest.mark.parametrize("first", ["stopped", "killed", "frozen"])
@pytest.mark.parametrize("second", LATER)
def test_a_host_may_be_struck_at_every_await_of_a_hand_over_or_takeover(first: str, second: str, hosts: int):
    for after in range(1, 400):
        sound(struck(hosts, Strike("step", 250, first), Strike("step", 250 + after, second)))


@pytest.mark.long
@pytest.mark.parametrize("hosts", HOSTS)
@pytest.mark.parametrize("fault", AT_CALLS)
def test_a_host_may_be_struck_at_every_call(fault: str, hosts: int):
    for at in range(places("call", hosts)):
        sound(struck(hosts, Strike("call", at, fault)))


@pytest.mark.long
@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("hosts", HOSTS)
@pytest.mark.parametrize("fault", AT_STEPS)
def test_a_host_may_be_struck_at_every_await(fault: str, hosts: int, part: int):
    for at in range(part, places("step", hosts), 8):
        sound(struck(hosts, Strike("step", at, fault)))
